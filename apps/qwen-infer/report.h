// The report of a run: settings, timings and what top-k attention kept, as JSON. --top_k_attention_stats writes it to a
// file, `qwen-infer serve` answers GET /topk/stats with it.
#ifndef QWEN_INFER_APPS_REPORT_H_
#define QWEN_INFER_APPS_REPORT_H_

#include <mutex>
#include <string>
#include <string_view>

#include "perf_hooks.h"
#include "topk/status.h"

namespace qwen_infer {

// What does not change during a run.
struct RunDescription {
  std::string subcommand;            // "complete"
  std::string model;                 // as given on the command line; may be empty
  bool use_top_k_attention = false;  // else the report holds timings only
  bool report_timings = true;        // false where llama.cpp's are not to be trusted, or it takes none
};

// Snapshot of the run so far, indented by two blanks, with a final newline. From any thread.
//   {"program": ..., "subcommand": ..., "model": ..., "attention": "top_k" or "full",
//    "timings": {"prompt_tokens", "prompt_seconds", "prompt_tokens_per_second",
//                "generated_tokens", "generation_seconds", "generation_tokens_per_second"} or null,
//    and, with top-k attention, what StatisticsJson (src/ggml/statistics.h) tells: "settings", "mass_mode", "total",
//    "layers"}
// A figure that was not measured is null. A row is one query of one head.
std::string ReportJson(const RunDescription& run);

// The same with the figures of an engine. statistics: its AttentionStatisticsJson(); empty without top-k attention.
std::string ReportJson(const RunDescription& run, const Timings& timings, std::string_view statistics);

// Writes ReportJson to `path`, whole or not at all (atomic_file.h); several calls may race, the last one stays.
class ReportFile {
 public:
  ReportFile(std::string path, RunDescription run);

  // Nothing happens before the run has started (perf_hooks.h): a run that never began leaves no file.
  topk::Status Write();

 private:
  std::string path_;
  RunDescription run_;
  std::mutex mutex_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_REPORT_H_
