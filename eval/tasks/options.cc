#include "eval/tasks/options.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>

#include "eval/shared_flags.h"

namespace qwen_infer::tasks {

namespace {

constexpr int64_t kMaxExamples = 1 << 20;

// A budget that is felt, and the default of all programs.
constexpr std::array<std::string_view, 2> kDefaultSettings = {"k=64", "k=256"};

bool ReadTask(std::string_view text, const Task*& out) {
  out = FindTask(text);
  return out != nullptr;
}

constexpr FlagRow<Options> kFlags[] = {
    eval::kModelFlag<Options>,
    {"task", "LIST", "a list of tasks, see above",
     "passkey,niah_single_1,niah_multikey_1,niah_multivalue,niah_multiquery,vt,cwe,fwe", "which tasks",
     [](auto v, Options& o) { return ReadList(v, ReadTask, o.tasks); }},
    {"length", "N", "an integer from 64 to 16777216", "4096", "tokens of a prompt and its longest answer",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 64, eval::kMaxWindow, o.length); }, "-c"},
    {"examples", "N", "an integer from 1 to 1048576", "10", "examples of each task",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 1, kMaxExamples, o.examples); }, "-n"},
    eval::SettingFlag<Options>("compared with full attention; may be repeated; else k=64 and k=256"),
    {"file", "PATH", "a file or folder", "", "text to hide needles in, else noise; may be repeated",
     [](auto v, Options& o) { return ReadPath(v, o.paths.emplace_back()); }, "-f"},
    eval::kSuffixFlag<Options>,
    {"source", "PATH", "a file or folder", "", "Python code for code_retrieval; may be repeated",
     [](auto v, Options& o) { return ReadPath(v, o.sources.emplace_back()); }},
    eval::kThreadsFlag<Options>,
    eval::kCacheTypeFlag<Options>,
    {"seed", "N", "an integer from 0 to 18446744073709551615", "1", "of the examples",
     [](auto v, Options& o) { return ReadNumber<uint64_t>(v, 0, std::numeric_limits<uint64_t>::max(), o.seed); }},
    {"output", "FOLDER", "a name", "qwen-infer-tasks",
     "where the report goes, and what an interrupted run goes on from",
     [](auto v, Options& o) { return ReadPath(v, o.output); }, "-o"},
    eval::kRestartFlag<Options>,
    eval::kVerboseFlag<Options>,
};

constexpr FlagTable<Options> kTable{kFlags};

topk::Status CheckTogether(const Options& options) {
  if (options.model.empty()) return topk::InvalidArgument("--model is missing: name a GGUF file");
  for (const Task* task : options.tasks) {
    if (std::count(options.tasks.begin(), options.tasks.end(), task) > 1) {
      return topk::InvalidArgument("--task names " + std::string(task->name) + " twice: leave one out");
    }
    if (task->needs_functions && options.sources.empty()) {
      return topk::InvalidArgument("--source is missing: " + std::string(task->name) +
                                   " needs a file or folder with Python code");
    }
  }
  return {};
}

}  // namespace

topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options) {
  topk::Status status = eval::RefuseTopKFlags(arguments, "eval-tasks");
  if (status.ok()) status = kTable.Parse(arguments, options);
  if (!status.ok()) return status;
  if (options.model.empty() && environment != nullptr) options.model = environment;
  if (status = CheckTogether(options); !status.ok()) return status;
  return ReadSettings(kDefaultSettings, "eval-tasks", options.settings);
}

std::string FlagHelp() { return kTable.Help(); }

std::string CommandOf(const Options& options) {
  Options shown = options;
  // Whose folder it is in is nobody's business; reports are published.
  shown.text["model"] = std::filesystem::path(options.model).filename().string();
  for (const char* name : {"file", "source", "setting", "output", "restart", "verbose"}) shown.text.erase(name);
  std::string command = kTable.Command("qwen-infer eval-tasks", shown);
  for (const std::string& path : options.paths) command.append(" --file ").append(path);
  for (const std::string& path : options.sources) command.append(" --source ").append(path);
  if (options.text.contains("setting")) {
    for (const eval::Setting& setting : options.settings) command.append(" --setting ").append(setting.name);
  }
  return command;
}

}  // namespace qwen_infer::tasks
