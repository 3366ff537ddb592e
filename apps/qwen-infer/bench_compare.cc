// qwen-infer bench --compare: llama.cpp's attention and ours on one model, in one process.
#include <atomic>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "end_to_end/options.h"
#include "end_to_end/report.h"
#include "end_to_end/run.h"
#include "engine/backends.h"
#include "engine/model_check.h"
#include "flags.h"
#include "help.h"
#include "interrupts.h"
#include "llama.h"
#include "provenance.h"
#include "run.h"
#include "shared/figure_files.h"
#include "shared/interrupted.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

using end_to_end_bench::Conditions;
using end_to_end_bench::Options;
using end_to_end_bench::Row;

void PrintHelp() {
  std::cout
      << "qwen-infer bench --compare: tokens per second with and without top-k attention, in turns. Example:\n"
         "  qwen-infer bench --compare -m model.gguf -d 0,8192 --top_k_attention_k 256\n"
         "\n"
         "Three ways read a prompt and generate at each depth, on one model in one process:\n"
         "  llama.cpp, flash      unmodified, with flash attention\n"
         "  llama.cpp, no flash   the same without, as products and a softmax\n"
         "  top-k                 exact top-k attention\n"
         "\n"
         "One prefill for each depth serves all of them. It runs with top-k attention, since that is faster, and each\n"
         "deeper one goes on where the last one ended; every measured pass starts from a copy of the same cache.\n"
         "Ratios are of passes one after the other, against the better of llama.cpp's ways. What is measured starts\n"
         "after a round that does not count. In memory are the model and five times the deepest KV cache.\n"
         "\n"
         "flags (names with underscores or dashes):\n"
      << end_to_end_bench::FlagHelp() << "\n"
      << TopKHelp()
      << "\n"
         "\n"
         "  # at a glance\n"
         "  qwen-infer bench --compare -m model.gguf -d 4096 -r 1\n"
         "\n"
         "  # all of it, with a cache in 8 bits and a text of yours\n"
         "  qwen-infer bench --compare -m model.gguf -ctk q8_0 -ctv q8_0 -f text.txt --json compare.json\n"
         "\n"
         "Exit codes: 0 done; 1 failed; 2 mistakes in the flags; 130 interrupted: the files have the lines that are\n"
         "finished.\n";
}

// Splits the flags of top-k attention from those of the comparison.
topk::Status Parse(Arguments arguments, CommandLine& line, Options& options) {
  std::vector<std::string_view> all = {"--use_top_k_attention"};  // what is compared
  all.insert(all.end(), arguments.begin(), arguments.end());
  topk::Status status = ParseCommandLine(all, line);
  if (!status.ok()) return status;
  if (!line.use_top_k_attention) return topk::InvalidArgument("--compare runs with and without top-k attention anyway");
  if (!line.statistics_path.empty()) {
    return topk::InvalidArgument(
        "--top_k_attention_stats is of one run; --compare writes its figures with --json FILE");
  }
  const std::vector<std::string_view> rest(line.llama.begin(), line.llama.end());
  status = ParseOptions(rest, options);
  if (status.ok()) status = CheckFitsModel(line.settings, options.model);
  return status;
}

std::string Processor() {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  return device == nullptr ? "" : ggml_backend_dev_description(device);
}

// All settings of top-k attention that are not at their default belong to the command.
std::string CommandWith(const Options& options, Arguments arguments) {
  std::string command = CommandOf(options);
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (!IsTopKFlag(arguments[i])) continue;
    command.append(" ").append(arguments[i]);
    const bool value_follows = arguments[i].find('=') == std::string_view::npos && i + 1 < arguments.size() &&
                               !arguments[i + 1].starts_with("-");
    if (value_follows) command.append(" ").append(arguments[++i]);
  }
  return command;
}

// llama.cpp tells about everything it does; here only what goes wrong is of interest.
void LogErrors(ggml_log_level level, const char* text, void* /*data*/) {
  if (level == GGML_LOG_LEVEL_ERROR) std::cerr << text;
}

// What is known of a comparison.
struct Comparison {
  Options options;
  Conditions conditions;
  std::vector<Row> rows;

  // Reads the comparison when it is written.
  std::vector<FigureFile> Files() const {
    const auto markdown = [this] {
      std::string text = MarkdownHead(conditions, options);
      for (const Row& row : rows) text += MarkdownLine(row);
      return text;
    };
    return {{"--json", options.json, [this] { return Json(conditions, options, rows); }},
            {"--markdown", options.markdown, markdown}};
  }
};

void Compare(const Settings& settings, const std::string& command, const std::atomic<bool>& stop,
             Comparison& comparison) {
  llama_backend_init();
  comparison.conditions = {.processor = Processor(),
                           .date = Today(),
                           .versions = SoftwareVersions(),
                           .settings = FormatSettings(settings),
                           .command = command};
  // The head comes with the first line: a run that fails leaves nothing on stdout.
  const auto add = [&comparison](const Row& row) {
    if (comparison.rows.empty()) std::cout << MarkdownHead(comparison.conditions, comparison.options);
    std::cout << MarkdownLine(row) << std::flush;
    comparison.rows.push_back(row);
  };
  const auto say = [](std::string_view what) { std::cerr << what << "\n"; };
  RunComparison(comparison.options, settings, stop, {.say = say, .row = add});
}

}  // namespace

int RunBenchCompare(Arguments arguments) {
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  CommandLine line;
  Comparison comparison;
  topk::Status status = Parse(arguments, line, comparison.options);
  if (status.ok()) status = CheckFigureFiles(comparison.Files());
  if (!status.ok()) {
    PrintError(status.message());
    std::cerr << "See qwen-infer bench --compare --help\n";
    return kExitUsage;
  }
  ForgetPluginFile();
  llama_log_set(LogErrors, nullptr);
  std::atomic<bool> stop = false;
  const InterruptListener listener([&stop] { stop = true; });
  try {
    Compare(line.settings, CommandWith(comparison.options, arguments), stop, comparison);
    status = WriteFigureFiles(comparison.Files());
    if (status.ok()) return kExitSuccess;
    PrintError(status.message());
  } catch (const Interrupted&) {
    std::cerr << SaveFinished("interrupted", comparison.Files(), comparison.rows.size()) << "\n";
    return kExitInterrupted;
  } catch (const std::exception& error) {
    PrintError(error.what());
    SayWhyItFailed();
  }
  return kExitFailure;
}

}  // namespace qwen_infer
