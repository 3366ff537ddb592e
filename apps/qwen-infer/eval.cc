// qwen-infer eval: what top-k attention costs in quality, against full attention on the same windows of text.
#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "eval/compared_settings.h"
#include "eval/options.h"
#include "eval/report.h"
#include "eval/run.h"
#include "eval/state.h"
#include "eval/text.h"
#include "eval_report.h"
#include "flags.h"
#include "interruptible.h"
#include "interrupts.h"
#include "measuring.h"
#include "report_folder.h"
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
         "mass=exact measures the mass of every row, not of a few, and then the report has the bound on what a\n"
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

std::array<ReportPart, kReportFiles.size()> PartsOf(const eval::Report& report) {
  return {{{kReportFiles[0], Json(report)},
           {kReportFiles[1], Csv(report)},
           {kReportFiles[2], Markdown(report)},
           {kReportFiles[3], Html(report)},
           {kReportFiles[4], KeptShareChart(report)},
           {kReportFiles[5], PositionChart(report)}}};
}

int Refuse(const topk::Status& status) {
  PrintError(status.message());
  return kExitUsage;
}

int Evaluate(const eval::Options& options, const eval::Text& text, const InterruptFlag& interrupts) {
  const ReportFolder folder(options.output);
  const std::shared_ptr<Model> model = LoadToMeasure(options.model, interrupts);
  eval::Corpus corpus;
  topk::Status status = MakeCorpus(*model, text, options, corpus);
  if (!status.ok()) return Refuse(status);
  const eval::RunIdentity identity = IdentityOf(*model, corpus, options, VersionsText());
  std::vector<eval::WindowScores> windows;
  if (!options.restart) status = LoadState(folder.State(), identity, windows);
  if (!status.ok()) return Refuse(status);
  const std::string of_all = " of " + std::to_string(corpus.windows.size()) + " windows are ";
  if (!windows.empty()) std::cerr << "going on: " << windows.size() << of_all << "finished\n";
  const eval::Listener listener = ListenerOf(interrupts);
  try {
    RunWindows(model, corpus, options, identity, folder.State(), listener, windows);
  } catch (const Cancelled&) {
    std::cerr << "interrupted: " << windows.size() << of_all << "kept in " << folder.State() << "; the same command"
              << (options.restart ? " without --restart" : "") << " goes on from there\n";
    return kExitInterrupted;
  }
  const eval::Report report = ReportOf(*model, options, CommandOf(options), text, corpus, windows);
  Publish(folder, PartsOf(report), Markdown(report));
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
  if (status.ok()) status = eval::CheckFitModel(options.settings, options.model);
  if (status.ok()) status = ReportFolder(options.output).Make(kReportFiles, kName);
  if (!status.ok()) return RefuseUsage(kName, status);
  NoteUnusedVariable();
  SetLogLevel(options.verbose ? LogLevel::kAll : LogLevel::kErrors);
  if (text.skipped > 0) std::cerr << text.skipped << " files are no text in UTF-8 or empty, and were left out\n";
  const int exit_code =
      RunInterruptible([&](const InterruptFlag& interrupts) { return Evaluate(options, text, interrupts); });
  if (exit_code != kExitSuccess) ReportFolder(options.output).RemoveIfEmpty();
  return exit_code;
}

}  // namespace qwen_infer
