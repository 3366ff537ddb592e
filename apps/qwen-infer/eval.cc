// qwen-infer eval: what top-k attention costs in quality, against full attention on the same windows of text.
#include <signal.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "atomic_file.h"
#include "engine/model_check.h"
#include "eval/options.h"
#include "eval/report.h"
#include "eval/run.h"
#include "eval/state.h"
#include "eval/text.h"
#include "eval_report.h"
#include "flags.h"
#include "interrupts.h"
#include "run.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

constexpr std::string_view kName = "eval";

void PrintHelp() {
  std::cout
      << "qwen-infer eval: what top-k attention costs in quality, against full attention on the same text. Example:\n"
         "  qwen-infer eval -m model.gguf -f /usr/lib/python3.11 --suffix .py --setting k=128 --setting k=64,sinks=4\n"
         "\n"
         "Full attention and every setting read the same windows, in turns. Of each token that comes next it measures\n"
         "how well it was predicted, and how far the prediction is from that of full attention. On stdout is a table,\n"
         "in the folder of --output\n"
         "\n"
         "  report.html              all of it as one page\n"
         "  report.md, .json, .csv   the figures for documents, programs and spreadsheets\n"
         "  kept.svg, position.svg   quality against the share of keys that is kept, and against the position\n"
         "  state                    the windows that are finished: after Ctrl-C, the same command (without\n"
         "                           --restart) goes on from there\n"
         "\n"
         "A setting is written like those of the plugin, k=128,sinks=4,k@0-1=1024; what it does not name has its\n"
         "default, but crossover, which is 0: no row is left to full attention because that is faster here.\n"
         "mass=exact measures the mass of every row, not of one in 64, and then the report has the bound on what a\n"
         "row's output can differ; min_mass implies it. In memory are the model and, for full attention and for every\n"
         "setting, a KV cache of a window.\n"
         "\n"
         "flags (names with underscores or dashes):\n"
      << eval::FlagHelp()
      << "\n"
         "  # at a glance\n"
         "  qwen-infer eval -m model.gguf -f text.txt --windows 2 --window 1024 --setting k=64\n"
         "\n"
         "Exit codes: 0 done; 1 failed; 2 mistakes in the flags, or a text that is too short; 130 interrupted.\n";
}

constexpr std::array<std::string_view, 6> kReportFiles = {"report.json", "report.csv", "report.md",
                                                          "report.html", "kept.svg",   "position.svg"};

// The files of a run.
struct Folder {
  std::filesystem::path path;

  std::string File(std::string_view name) const { return (path / name).string(); }
  std::string State() const { return File("state"); }
};

// A report of someone else's is not replaced.
topk::Status CheckFolder(const Folder& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder.State(), error)) return {};
  for (const std::string_view name : kReportFiles) {
    if (!std::filesystem::exists(folder.File(name), error)) continue;
    return topk::InvalidArgument(folder.File(name) + " is there already, and not from a run of eval: name another " +
                                 "folder with --output, or delete it");
  }
  return {};
}

topk::Status MakeFolder(const Folder& folder) {
  if (topk::Status status = CheckFolder(folder); !status.ok()) return status;
  std::error_code error;
  std::filesystem::create_directories(folder.path, error);
  if (error) {
    return topk::InvalidArgument("cannot make the folder " + folder.path.string() + ": " + error.message());
  }
  return CheckWritable(folder.State());
}

topk::Status WriteFiles(const Folder& folder, const eval::Report& report) {
  const std::array<std::string, kReportFiles.size()> contents = {
      Json(report), Csv(report), Markdown(report), Html(report), KeptShareChart(report), PositionChart(report)};
  for (size_t i = 0; i < contents.size(); ++i) {
    if (topk::Status status = WriteFileAtomically(folder.File(kReportFiles[i]), contents[i]); !status.ok())
      return status;
  }
  return {};
}

int Refuse(const topk::Status& status) {
  PrintError(status.message());
  return kExitUsage;
}

int Evaluate(const eval::Options& options, const eval::Text& text, const InterruptFlag& interrupts) {
  const Folder folder{options.output};
  const std::shared_ptr<Model> model =
      Model::Load({.path = options.model, .top_k_attention = "", .on_progress = [&](float /*share*/) {
                     return !interrupts.IsRaised();
                   }});
  eval::Corpus corpus;
  topk::Status status = MakeCorpus(*model, text, options, corpus);
  if (!status.ok()) return Refuse(status);
  const eval::RunIdentity identity = IdentityOf(*model, corpus, options, VersionsText());
  std::vector<eval::WindowScores> windows;
  if (!options.restart) status = LoadState(folder.State(), identity, windows);
  if (!status.ok()) return Refuse(status);
  const std::string of_all = " of " + std::to_string(corpus.windows.size()) + " windows are ";
  if (!windows.empty()) std::cerr << "going on: " << windows.size() << of_all << "finished\n";
  const eval::Listener listener = {.say = [](std::string_view what) { std::cerr << what << "\n"; },
                                   .is_interrupted = [&] { return interrupts.IsRaised(); }};
  try {
    RunWindows(model, corpus, options, identity, folder.State(), listener, windows);
  } catch (const Cancelled&) {
    std::cerr << "interrupted: " << windows.size() << of_all << "kept in " << folder.State() << "; the same command"
              << (options.restart ? " without --restart" : "") << " goes on from there\n";
    return kExitInterrupted;
  }
  const eval::Report report = ReportOf(*model, options, CommandOf(options), text, corpus, windows);
  status = WriteFiles(folder, report);
  std::cout << Markdown(report) << std::flush;
  if (!status.ok()) throw std::runtime_error(status.message());
  std::cerr << folder.File("report.html") << "\n";
  return kExitSuccess;
}

}  // namespace

int RunEval(Arguments arguments) {
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  eval::Options options;
  eval::Text text;
  topk::Status status = ParseOptions(arguments, std::getenv("LLAMA_ARG_MODEL"), options);
  if (status.ok()) status = ReadText(options.paths, options.suffixes, text);
  for (const eval::Setting& setting : options.settings) {
    if (status.ok()) status = CheckFitsModel(setting.settings, options.model);
  }
  if (status.ok()) status = MakeFolder({options.output});
  if (!status.ok()) return RefuseUsage(kName, status);
  NoteUnusedVariable();
  SetLogLevel(options.verbose ? LogLevel::kAll : LogLevel::kErrors);
  if (text.skipped > 0) std::cerr << text.skipped << " files are no text in UTF-8 or empty, and were left out\n";
  int code = kExitFailure;
  int ending_signal = 0;
  {
    const InterruptFlag interrupts;
    try {
      code = Evaluate(options, text, interrupts);
    } catch (const Cancelled&) {
      code = kExitInterrupted;  // while the model was loaded
    } catch (const std::exception& error) {
      PrintError(error.what());
    }
    ending_signal = interrupts.ending_signal();
  }
  if (ending_signal != 0) raise(ending_signal);  // its default effect, now that all is written
  return code;
}

}  // namespace qwen_infer
