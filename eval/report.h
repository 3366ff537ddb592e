// The figures of a run as text: for people, for programs, for spreadsheets, and as one page with drawings.
#ifndef QWEN_INFER_EVAL_REPORT_H_
#define QWEN_INFER_EVAL_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "summary.h"

namespace qwen_infer::eval {

// A setting, or full attention.
struct WayName {
  std::string name;      // as the user wrote it: "k=128,sinks=4"; "full attention"
  std::string settings;  // all of them; empty for full attention
};

// The figures, and what a reader must know to judge or repeat them.
struct Report {
  std::string model;              // the file's name
  std::string model_description;  // "qwen2 0.5B Q4_K - Medium"
  std::string processor;
  int threads = 0;
  std::string date;                             // "2026-01-31"
  std::map<std::string, std::string> versions;  // by name of the software
  std::string command;                          // that measures the same
  std::string cache_type;
  int64_t files = 0;  // that the text is from
  int64_t text_bytes = 0;
  std::string text_hash;      // of the tokens that were read
  int64_t window = 0;         // tokens
  uint64_t seed = 0;          // of the bootstrap
  std::vector<WayName> ways;  // as in summary.ways
  Summary summary;
};

// The share of the visible keys that a way keeps; 1 for full attention.
double KeptShare(const WaySummary& way);

std::string Markdown(const Report& report);

// {"program": "qwen-infer eval", what is in Report by the same names, "ways": [{"name", "settings", "seconds",
// "tokens_per_second", "attention": {rows, keys, masses, "deviation_bound"} or null, "scored": QUALITY, "by_position":
// [QUALITY, ...]}, ...], "differences": [{"setting", "against", "change_percent": ESTIMATE, "kl": ESTIMATE}, ...]},
// where
//   QUALITY   {"first", "last": positions, "tokens", "perplexity", "change_percent": ESTIMATE, "kl": ESTIMATE,
//   "kl_p99",
//             "agreement": ESTIMATE}
//   ESTIMATE  {"mean", "low", "high"}: of the 95 % interval
std::string Json(const Report& report);

// A line for each way and range of positions, "scored" first; that one has what the way keeps, over all positions, and
// its speed. Differences between settings are not in it.
std::string Csv(const Report& report);

// SVG: the change of perplexity against the share of keys that is kept, and against the position.
std::string KeptShareChart(const Report& report);
std::string PositionChart(const Report& report);

// One page with everything, which asks for nothing from elsewhere.
std::string Html(const Report& report);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_REPORT_H_
