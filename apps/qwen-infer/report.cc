#include "report.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "atomic_file.h"
#include "perf_hooks.h"
#include "plugin.h"
#include "program_version.h"

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;

Json Rate(int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? Json(static_cast<double>(tokens) / seconds) : Json(nullptr);
}

Json TimingsJson(const Timings& timings) {
  if (!timings.AnyTokens()) return nullptr;
  return {{"prompt_tokens", timings.prompt_tokens},
          {"prompt_seconds", timings.prompt_seconds},
          {"prompt_tokens_per_second", Rate(timings.prompt_tokens, timings.prompt_seconds)},
          {"generated_tokens", timings.generated_tokens},
          {"generation_seconds", timings.generation_seconds},
          {"generation_tokens_per_second", Rate(timings.generated_tokens, timings.generation_seconds)}};
}

std::string Report(const RunDescription& run, const Timings& timings, const Json& statistics) {
  Json report = {{"program", std::string("qwen-infer ") + kVersion},
                 {"subcommand", run.subcommand},
                 {"model", run.model.empty() ? Json(nullptr) : Json(run.model)},
                 {"attention", run.use_top_k_attention ? "top_k" : "full"},
                 {"timings", run.report_timings ? TimingsJson(timings) : Json(nullptr)}};
  if (run.use_top_k_attention) report.update(statistics);
  // A path need not be UTF-8.
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ReportJson(const RunDescription& run) { return Report(run, RunTimings(), CurrentStatisticsJson()); }

std::string ReportJson(const RunDescription& run, const Timings& timings, std::string_view statistics) {
  return Report(run, timings, statistics.empty() ? Json() : Json::parse(statistics));
}

ReportFile::ReportFile(std::string path, RunDescription run) : path_(std::move(path)), run_(std::move(run)) {}

topk::Status ReportFile::Write() {
  if (!RunStarted()) return {};
  const std::lock_guard lock(mutex_);
  return WriteFileAtomically(path_, ReportJson(run_));
}

}  // namespace qwen_infer
