// From times to the figures of a line of the table.
#ifndef QWEN_INFER_BENCH_ATTENTION_RESULT_H_
#define QWEN_INFER_BENCH_ATTENTION_RESULT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "attention/case.h"
#include "attention/measure.h"
#include "shared/ratio.h"

namespace qwen_infer::attention_bench {

struct Row {
  Case the_case;
  Times times;
  // Of medians, per query and head; empty for what was not run.
  std::array<std::optional<double>, kMethodCount> microseconds;
  Method best_stock = Method::kStockFlash;  // by medians
  Method best_ours = Method::kDense;
  Ratio speed_up;             // time of best_stock / time of best_ours, round by round
  double roofline = 0;        // share of the least time that the work of best_ours could take here (yardstick.h)
  double candidates = 0;      // keys that best_ours scores in f32, per query and head
  int64_t scratch_bytes = 0;  // that best_ours allocates
};

// All but candidates and scratch_bytes. `times` has one method of stock and one of ours at least.
Row Evaluate(const Case& the_case, const Times& times);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_RESULT_H_
