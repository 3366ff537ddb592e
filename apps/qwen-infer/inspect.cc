// qwen-infer inspect: which tokens each token keeps, by layer and head, as a page to look at.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "atomic_file.h"
#include "eval/compared_settings.h"
#include "flags.h"
#include "inspect/options.h"
#include "inspect/plan.h"
#include "inspect/reader.h"
#include "inspect/report.h"
#include "interruptible.h"
#include "interrupts.h"
#include "measuring.h"
#include "page_nonce.h"
#include "provenance.h"
#include "reading_progress.h"
#include "run.h"
#include "subcommands.h"
#include "text_file.h"

namespace qwen_infer {

namespace {

constexpr std::string_view kName = "inspect";

void PrintHelp() {
  std::cout
      << "qwen-infer inspect: see which tokens each token of a text keeps, in every layer and head. Example:\n"
         "  qwen-infer inspect -m model.gguf --prompt-file text.txt --html report.html\n"
         "  qwen-infer inspect -m model.gguf --prompt-file text.txt --html report.html --setting k=32 --setting k=256\n"
         "\n"
         "The page is one file that works without a network. It shows the text; pick a token with the mouse or the\n"
         "arrow keys, and the tokens that it attends to are shaded by their weight: of one head, of the mean over the\n"
         "heads of a layer, or of the mean of all. Beside it are a map of layers and heads by the mass of what they\n"
         "kept, how far back they look, and the tokens that get most of the attention. With two settings, their\n"
         "difference too.\n"
         "\n"
         "A setting is written like those of the plugin, k=128,sinks=4,k@0-1=1024; what it does not name has its\n"
         "default, but crossover, which is 0. The mass of every row is measured. The text is read as it is, without\n"
         "the model's chat template.\n"
         "\n"
         "limits: the page has the strongest weights of each token and head, 16 if there is room, and no fewer than "
         "4;\n"
         "keys beyond them were kept as well and count in all figures. If even 4 take more than --max_size, it has\n"
         "fewer layers. Two bytes a key and one a weight, rounded by 0.004 at most: 8,192 tokens of a model with 24\n"
         "layers of 14 heads take 107 MB with 8 weights. No row runs dense: one whose mass target needs more than "
         "max_k\n"
         "keys keeps max_k.\n"
         "\n"
         "flags (names with underscores or dashes):\n"
      << inspect::FlagHelp()
      << "\n"
         "Exit codes: 0 done; 1 failed; 2 mistakes in the flags, or a text that is too long; 130 interrupted. Files\n"
         "are written whole or not at all.\n";
}

topk::Status CheckFiles(const inspect::Options& options) {
  for (const std::string& path : {options.html, options.json}) {
    if (path.empty()) continue;
    for (const std::string& input : {options.model, options.prompt_file}) {
      std::error_code error;
      if (std::filesystem::equivalent(path, input, error)) {
        return topk::InvalidArgument(path + " is what is read: name another file to write");
      }
    }
    if (topk::Status status = CheckWritable(path); !status.ok()) return status;
  }
  return {};
}

topk::Status CheckLength(const Model& model, const inspect::Options& options, int64_t n_token) {
  if (n_token == 0) return topk::InvalidArgument(options.prompt_file + " has no text: there is nothing to show");
  const int64_t most = std::min(model.trained_context_length(), inspect::kMaxTokens);
  if (n_token <= most) return {};
  return topk::InvalidArgument(options.prompt_file + " has " + std::to_string(n_token) +
                               " tokens, which is more than " +
                               (most == inspect::kMaxTokens ? "a page can show" : "the model was trained with") + ": " +
                               std::to_string(most) + ". Shorten it");
}

std::string NameOf(const std::string& path) { return std::filesystem::path(path).filename().string(); }

topk::Status Write(const inspect::Options& options, const inspect::Report& report) {
  topk::Status status;
  if (!options.json.empty()) status = WriteFileAtomically(options.json, Json(report));
  if (status.ok() && !options.html.empty()) status = WriteFileAtomically(options.html, Html(report, MakeNonce()));
  return status;
}

int Refuse(const topk::Status& status) {
  PrintError(status.message());
  return kExitUsage;
}

int Inspect(const inspect::Options& options, const std::string& text, const InterruptFlag& interrupts) {
  const std::shared_ptr<Model> model = LoadToMeasure(options.model, interrupts);
  inspect::Report report = {.model = NameOf(options.model),
                            .model_description = model->description(),
                            .prompt_file = NameOf(options.prompt_file),
                            .date = Today(),
                            .versions = SoftwareVersions(),
                            .cache_type = options.cache_type,
                            .n_layer = model->n_layer(),
                            .tokens = model->Tokenize(text),
                            .pieces = {},
                            .settings = {}};
  report.pieces = inspect::PiecesOf(*model, report.tokens);
  const auto n_token = static_cast<int64_t>(report.tokens.size());
  inspect::Plan plan;
  topk::Status status = CheckLength(*model, options, n_token);
  if (status.ok()) {
    const auto n_setting = static_cast<int64_t>(options.settings.size());
    status = MakePlan(options, inspect::ShapeOf(*model, n_token, n_setting), plan);
  }
  if (!status.ok()) return Refuse(status);
  if (options.layers.empty() && static_cast<int64_t>(plan.layers.size()) < model->n_layer()) {
    std::cerr << plan.layers.size() << " of " << model->n_layer() << " layers fit a page of --max_size "
              << options.max_megabytes << " MB\n";
  }
  ReadingProgress progress;
  for (const eval::Setting& setting : options.settings) {
    progress.Start();
    const inspect::Listener listener = {.on_read = [&](int64_t n_read) { progress.Show(n_read, n_token); },
                                        .is_interrupted = [&] { return interrupts.IsRaised(); }};
    report.settings.push_back(
        {.name = setting.name,
         .settings = FormatSettings(setting.settings),
         .capture = inspect::Read(model, setting.settings, report.tokens, plan, options, listener)});
    progress.Clear();
  }
  status = Write(options, report);
  std::cout << Table(report) << std::flush;
  if (!status.ok()) throw std::runtime_error(status.message());
  for (const std::string& path : {options.html, options.json}) {
    if (!path.empty()) std::cerr << path << "\n";
  }
  return kExitSuccess;
}

}  // namespace

int RunInspect(Arguments arguments) {
  // --help wins over a mistake.
  if (HasLlamaFlag(std::vector<std::string>(arguments.begin(), arguments.end()), kHelpFlags)) {
    PrintHelp();
    return kExitSuccess;
  }
  inspect::Options options;
  std::string text;
  topk::Status status = ParseOptions(arguments, std::getenv("LLAMA_ARG_MODEL"), options);
  if (status.ok()) status = ReadTextFile(options.prompt_file, text);
  if (status.ok()) status = eval::CheckFitModel(options.settings, options.model);
  if (status.ok()) status = CheckFiles(options);
  if (!status.ok()) return RefuseUsage(kName, status);
  NoteUnusedVariable();
  SetLogLevel(options.verbose ? LogLevel::kAll : LogLevel::kErrors);
  return RunInterruptible([&](const InterruptFlag& interrupts) {
    try {
      return Inspect(options, text, interrupts);
    } catch (const Cancelled&) {
      std::cerr << "interrupted: nothing was written\n";
      throw;
    }
  });
}

}  // namespace qwen_infer
