// qwen-infer eval-tasks: which questions about long prompts are answered right with top-k attention, and which with
// full attention.
#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "eval/compared_settings.h"
#include "eval/tasks/options.h"
#include "eval/tasks/report.h"
#include "eval/tasks/run.h"
#include "eval/tasks/state.h"
#include "eval/tasks/summary.h"
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

constexpr std::string_view kName = "eval-tasks";

void PrintHelp() {
  std::cout
      << "qwen-infer eval-tasks: what top-k attention costs in answers, against full attention on the same questions.\n"
         "Example:\n"
         "  qwen-infer eval-tasks -m model.gguf --task passkey,cwe --length 8192 -n 20 --setting k=64 --setting k=256\n"
         "\n"
         "Each example is a prompt that is made from random numbers, as long as --length allows, and a question whose\n"
         "answer stands in it. Full attention and every setting read the same prompts through the model's chat\n"
         "template and answer them, always with the most likely token. The tasks:\n"
         "\n";
  constexpr size_t kColumn = 18;
  for (const tasks::Task& task : tasks::Tasks()) {
    std::cout << "  " << task.name << std::string(kColumn - task.name.size(), ' ') << task.sentence << "\n";
  }
  std::cout
      << "\n"
         "All but the first and the last are those of RULER (github.com/NVIDIA/RULER), in its words. Without --file,\n"
         "its sentences of noise take the place of a text. In cwe and fwe the answer is nowhere in particular, all of\n"
         "the prompt counts: they are the hardest for top-k attention.\n"
         "\n"
         "On stdout are tables: scores, their differences with intervals, who was right where the other was not, and\n"
         "McNemar's test. In the folder of --output\n"
         "\n"
         "  report.html                     all of it as one page\n"
         "  report.md, .json, .csv          for documents, programs and spreadsheets; .json has all answers\n"
         "  scores.svg, differences.svg     the drawings\n"
         "  state                           the examples that are finished: after Ctrl-C, the same command (without\n"
         "                                  --restart) goes on from there, also with more --task and --examples\n"
         "\n"
         "Ten examples show only what is gross: where no answer differs, the interval is +-23 points with 10 examples\n"
         "and +-2.7 with 100. Each costs one reading of its prompt for full attention and for each setting; what "
         "prompts\n"
         "begin alike with is read once, which is half of the passkeys. Settings are written as for eval:\n"
         "k=128,sinks=4,k@0-1=1024; what is not named has its default, but crossover, which is 0. In memory are the\n"
         "model and, for full attention and every setting, a KV cache of --length tokens.\n"
         "\n"
         "flags (names with underscores or dashes):\n"
      << tasks::FlagHelp()
      << "\n"
         "  # at a glance\n"
         "  qwen-infer eval-tasks -m model.gguf --task passkey,cwe --length 1024 -n 4 --setting k=64\n"
         "\n"
         "Exit codes: 0 done; 1 failed; 2 mistakes in the flags, or a length that is too short for a task; 130\n"
         "interrupted.\n";
}

constexpr std::array<std::string_view, 6> kReportFiles = {"report.json", "report.csv", "report.md",
                                                          "report.html", "scores.svg", "differences.svg"};

std::array<ReportPart, kReportFiles.size()> PartsOf(const tasks::Report& report) {
  return {{{kReportFiles[0], Json(report)},
           {kReportFiles[1], Csv(report)},
           {kReportFiles[2], Markdown(report)},
           {kReportFiles[3], Html(report)},
           {kReportFiles[4], ScoreChart(report)},
           {kReportFiles[5], DifferenceChart(report)}}};
}

tasks::Report ReportOf(const Model& model, const tasks::Options& options, const tasks::Material& material,
                       std::vector<tasks::Result> results) {
  tasks::Report report = {.run = RunFactsOf(model, options, CommandOf(options)),
                          .length = options.length,
                          .examples = options.examples,
                          .seed = options.seed,
                          .sentences = static_cast<int64_t>(material.sentences.size()),
                          .functions = static_cast<int64_t>(material.functions.size()),
                          .results = std::move(results),
                          .tasks = {}};
  report.tasks = tasks::Summarize(report.results);
  return report;
}

int Evaluate(const tasks::Options& options, tasks::Material& material, const InterruptFlag& interrupts) {
  const ReportFolder folder(options.output);
  const std::shared_ptr<Model> model = LoadToMeasure(options.model, interrupts);
  CountTokens(*model, material);
  topk::Status status = CheckLength(*model, material, options);
  const eval::RunIdentity identity = IdentityOf(*model, material, options, VersionsText());
  std::vector<tasks::Result> done;
  if (status.ok() && !options.restart) status = LoadState(folder.State(), identity, done);
  if (!status.ok()) {
    PrintError(status.message());
    return kExitUsage;
  }
  const auto finished = [&] {
    return std::to_string(Wanted(options, done).size()) + " of " +
           std::to_string(options.tasks.size() * static_cast<size_t>(options.examples)) + " examples are ";
  };
  if (!done.empty()) std::cerr << "going on: " << finished() << "finished\n";
  const eval::Listener listener = ListenerOf(interrupts);
  try {
    RunExamples(model, material, options, identity, folder.State(), listener, done);
  } catch (const Cancelled&) {
    std::cerr << "interrupted: " << finished() << "kept in " << folder.State() << "; the same command"
              << (options.restart ? " without --restart" : "") << " goes on from there\n";
    throw;
  }
  const tasks::Report report = ReportOf(*model, options, material, Wanted(options, done));
  Publish(folder, PartsOf(report), Markdown(report));
  return kExitSuccess;
}

}  // namespace

int RunEvalTasks(Arguments arguments) {
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  tasks::Options options;
  tasks::Material material;
  topk::Status status = ParseOptions(arguments, std::getenv("LLAMA_ARG_MODEL"), options);
  if (status.ok()) status = ReadMaterial(options, material);
  if (status.ok()) status = eval::CheckFitModel(options.settings, options.model);
  if (status.ok()) status = ReportFolder(options.output).Make(kReportFiles, kName);
  if (!status.ok()) return RefuseUsage(kName, status);
  NoteUnusedVariable();
  SetLogLevel(options.verbose ? LogLevel::kAll : LogLevel::kErrors);
  const int exit_code =
      RunInterruptible([&](const InterruptFlag& interrupts) { return Evaluate(options, material, interrupts); });
  if (exit_code != kExitSuccess) ReportFolder(options.output).RemoveIfEmpty();
  return exit_code;
}

}  // namespace qwen_infer
