// qwen-infer tune: which layer needs how many keys, as a profile that every other subcommand takes.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "atomic_file.h"
#include "eval/report.h"
#include "eval/text.h"
#include "eval/tune/notes.h"
#include "eval/tune/options.h"
#include "eval/tune/tune.h"
#include "eval_report.h"
#include "flags.h"
#include "interruptible.h"
#include "interrupts.h"
#include "measuring.h"
#include "profile.h"
#include "run.h"
#include "subcommands.h"

namespace qwen_infer {

namespace {

constexpr std::string_view kName = "tune";

void PrintHelp() {
  std::cout
      << "qwen-infer tune: give each layer of a model the budget that it needs. Example:\n"
         "  qwen-infer tune -m model.gguf -f /usr/lib/python3.11 --suffix .py --budget 128 -o model.profile.json\n"
         "  qwen-infer complete -m model.gguf --use_top_k_attention --top_k_attention_profile model.profile.json ...\n"
         "\n"
         "Windows of the text are read with few keys in one layer at a time, and how far the predictions are then\n"
         "from those of full attention tells what the layer needs. The budgets are found that are expected to serve\n"
         "the aim best. For --budget and --max_ppl_increase they are compared with mass targets, which give every row\n"
         "what it needs and keep as many keys on average, but take time. For --budget the best is then tried with\n"
         "full attention in the layers that lose the most, with sinks and with another temperature, at no more keys;\n"
         "what does not measurably help is left out. At last other windows of the text are read with full attention,\n"
         "the profile, and the same k in every layer. These figures are on stdout and, with all others, in the\n"
         "profile: it says whether it is any better than a fixed k.\n"
         "\n"
         "How long that takes: with the defaults and a model of 24 layers, measuring them is as much work as reading\n"
         "the calibration windows 4 times, mass targets 2 times, the rest 1.6 times (1 + settings * probe / window\n"
         "each; 4 settings a layer, 32 and 18); the other windows are read 3 times.\n"
         "\n"
         "The folder of --work keeps what was measured: after Ctrl-C, the same command goes on from there, and\n"
         "another aim for the same windows has its layers measured already. It may be deleted.\n"
         "\n"
         "flags (names with underscores or dashes):\n"
      << tune::FlagHelp()
      << "\n"
         "Exit codes: 0 done; 1 failed, or the aim is out of reach; 2 mistakes in the flags, or a text that is too\n"
         "short; 130 interrupted. The profile is written whole or not at all.\n";
}

topk::Status CheckPlaces(const tune::Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.output, error);
  if (error) return topk::InvalidArgument("cannot make the folder " + options.output + ": " + error.message());
  return CheckWritable(options.profile);
}

int Tune(tune::Options& options, const eval::Text& text, const InterruptFlag& interrupts) {
  const std::shared_ptr<Model> model = LoadToMeasure(options.model, interrupts);
  tune::Corpora corpora;
  if (topk::Status status = MakeCorpora(*model, text, options, corpora); !status.ok()) {
    PrintError(status.message());
    return kExitUsage;
  }
  const eval::Listener listener = ListenerOf(interrupts);
  Profile profile = {.model = Profiled(model, options), .settings = {}};
  const std::vector<tune::Curve> curves = MeasureLayers(model, corpora.calibration, options, VersionsText(), listener);
  tune::Budgets budgets;
  topk::Status status = Allocate(curves, options, budgets);
  if (!status.ok()) throw std::runtime_error(status.message());
  const tune::Choice choice = Choose(model, corpora.calibration, curves, budgets, options, VersionsText(), listener);
  profile.settings = choice.settings;
  std::cerr << tune::RefinementText(choice);
  std::cerr << "the profile: " << profile.settings << "\n";
  const std::string fixed = "k=" + std::to_string(choice.fixed_k);
  options.settings = {tune::SettingFor(fixed, fixed), tune::SettingFor("profile", profile.settings)};
  const std::vector<eval::WindowScores> windows = Compare(model, corpora.held_out, options, VersionsText(), listener);
  const eval::Report report = ReportOf(*model, options, CommandOf(options), text, corpora.held_out, windows);
  status = WriteFileAtomically(options.profile,
                               FormatProfile(profile, Notes(AimText(options), curves, budgets, choice, report)));
  if (!status.ok()) throw std::runtime_error(status.message());
  std::cout << Markdown(report) << "\n" << tune::Verdict(report) << "\n";
  if (options.aim == tune::Aim::kPerplexityIncrease) {
    std::cout << tune::VerdictOnIncrease(report, options.value) << "\n";
  }
  std::cout << std::flush;
  std::cerr << options.profile << "\n";
  return kExitSuccess;
}

}  // namespace

int RunTune(Arguments arguments) {
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  tune::Options options;
  eval::Text text;
  topk::Status status = ParseOptions(arguments, std::getenv("LLAMA_ARG_MODEL"), options);
  if (status.ok()) status = ReadText(options.paths, options.suffixes, text);
  if (status.ok()) status = CheckPlaces(options);
  if (!status.ok()) return RefuseUsage(kName, status);
  NoteUnusedVariable();
  SetLogLevel(options.verbose ? LogLevel::kAll : LogLevel::kErrors);
  return RunInterruptible([&](const InterruptFlag& interrupts) {
    try {
      return Tune(options, text, interrupts);
    } catch (const Cancelled&) {
      std::cerr << "interrupted: the windows that are finished are kept in " << options.output
                << "; the same command goes on from there\n";
      throw;
    }
  });
}

}  // namespace qwen_infer
