#include "eval_report.h"

#include <filesystem>

#include "ggml-backend.h"
#include "provenance.h"
#include "settings.h"

namespace qwen_infer {

namespace {

std::string Processor() {
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  return device == nullptr ? "" : ggml_backend_dev_description(device);
}

}  // namespace

std::string VersionsText() {
  std::string text;
  for (const auto& [name, version] : SoftwareVersions()) text.append(name).append(" ").append(version).append("\n");
  return text;
}

eval::RunFacts RunFactsOf(const Model& model, const eval::RunOptions& options, const std::string& command) {
  eval::RunFacts run = {.model = std::filesystem::path(options.model).filename().string(),
                        .model_description = model.description(),
                        .processor = Processor(),
                        .threads = options.threads,
                        .date = Today(),
                        .versions = SoftwareVersions(),
                        .command = command,
                        .cache_type = options.cache_type,
                        .ways = {{.name = "full attention", .settings = ""}}};
  for (const eval::Setting& setting : options.settings) {
    run.ways.push_back({.name = setting.name, .settings = FormatSettings(setting.settings)});
  }
  return run;
}

eval::Report ReportOf(const Model& model, const eval::Options& options, const std::string& command,
                      const eval::Text& text, const eval::Corpus& corpus, std::span<const eval::WindowScores> windows) {
  return {.run = RunFactsOf(model, options, command),
          .files = text.files,
          .text_bytes = static_cast<int64_t>(text.text.size()),
          .text_hash = corpus.hash,
          .window = options.window,
          .seed = options.seed,
          .summary = Summarize(windows, options.Scored(), options.seed)};
}

}  // namespace qwen_infer
