// The figures of a run as text: for people, for programs, for spreadsheets, and as one page with drawings.
#ifndef QWEN_INFER_EVAL_REPORT_H_
#define QWEN_INFER_EVAL_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "run_facts.h"
#include "summary.h"

namespace qwen_infer::eval {

// The figures, and what a reader must know to judge or repeat them.
struct Report {
  RunFacts run;       // with the ways in the order of summary.ways
  int64_t files = 0;  // that the text is from
  int64_t text_bytes = 0;
  std::string text_hash;  // of the tokens that were read
  int64_t window = 0;     // tokens
  uint64_t seed = 0;      // of the bootstrap
  Summary summary;
};

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
