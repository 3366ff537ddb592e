#include "options.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "flag_table.h"
#include "shared_flags.h"

namespace qwen_infer::eval {

namespace {

// From far too few keys to as many as nothing is lost with: the curve of quality against budget.
constexpr std::array<std::string_view, 4> kDefaultSettings = {"k=32", "k=64", "k=128", "k=256"};

constexpr FlagRow<Options> kFlags[] = {
    kModelFlag<Options>,
    kFileFlag<Options>,
    kSuffixFlag<Options>,
    SettingFlag<Options>("compared with full attention; may be repeated; else k=32, k=64, k=128 and k=256"),
    {"windows", "N", "an integer from 1 to 1048576", "8", "windows, spread evenly over the text",
     [](auto v, Options& o) { return ReadNumber<int64_t>(v, 1, kMaxWindows, o.windows); }},
    kWindowFlag<Options>,
    {"skip", "N", "half, or an integer from 0 to 16777214", "half",
     "tokens at the start of a window that are read, and count only where figures are given by position",
     [](auto v, Options& o) {
       o.skip = -1;
       return v == "half" || ReadNumber<int64_t>(v, 0, kMaxWindow - 2, o.skip);
     }},
    kThreadsFlag<Options>,
    kCacheTypeFlag<Options>,
    kSeedFlag<Options>,
    {"output", "FOLDER", "a name", "qwen-infer-eval", "where the report goes, and what an interrupted run goes on from",
     [](auto v, Options& o) { return ReadPath(v, o.output); }, "-o"},
    kRestartFlag<Options>,
    kVerboseFlag<Options>,
};

constexpr FlagTable<Options> kTable{kFlags};

topk::Status CheckTogether(const Options& options) {
  if (options.model.empty()) return topk::InvalidArgument("--model is missing: name a GGUF file");
  if (options.paths.empty()) return topk::InvalidArgument("--file is missing: name a file or folder with text to read");
  if (options.Scored().first >= options.window) {
    return topk::InvalidArgument("--skip " + std::to_string(options.skip) + " leaves nothing of a window of " +
                                 std::to_string(options.window) + " tokens: lower it, or raise --window");
  }
  return {};
}

}  // namespace

Positions Options::Scored() const {
  const int64_t skipped = skip < 0 ? window / 2 : skip;
  return {std::max<int64_t>(skipped, 1), window};
}

topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options) {
  topk::Status status = RefuseTopKFlags(arguments, "eval");
  if (status.ok()) status = kTable.Parse(arguments, options);
  if (!status.ok()) return status;
  if (options.model.empty() && environment != nullptr) options.model = environment;
  if (status = CheckTogether(options); !status.ok()) return status;
  return ReadSettings(kDefaultSettings, "eval", options.settings);
}

std::string FlagHelp() { return kTable.Help(); }

std::string CommandOf(const Options& options) {
  Options shown = options;
  // Whose folder it is in is nobody's business; reports are published.
  shown.text["model"] = std::filesystem::path(options.model).filename().string();
  for (const char* name : {"file", "setting", "output", "restart", "verbose"}) shown.text.erase(name);
  std::string command = kTable.Command("qwen-infer eval", shown);
  for (const std::string& path : options.paths) command.append(" --file ").append(path);
  if (options.text.contains("setting")) {
    for (const Setting& setting : options.settings) command.append(" --setting ").append(setting.name);
  }
  return command;
}

}  // namespace qwen_infer::eval
