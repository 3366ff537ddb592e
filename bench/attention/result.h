// From times to the figures of a line of the table.
#ifndef QWEN_INFER_BENCH_ATTENTION_RESULT_H_
#define QWEN_INFER_BENCH_ATTENTION_RESULT_H_

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
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
  Method best_ours = Method::kDense;        // of those that are told what to do: not kAsUsed
  Ratio speed_up;                           // time of best_stock / time of kAsUsed, round by round
  // Where several types are compared: time of llama.cpp's fastest way with any of them / time of kAsUsed, of medians.
  std::optional<double> speed_up_any_type;
  double roofline = 0;        // share of the least time that the work of best_ours could take here (yardstick.h)
  double candidates = 0;      // keys that best_ours scores in f32, per query and head
  int64_t scratch_bytes = 0;  // that best_ours allocates
  int64_t copies_bytes = 0;   // of all copies of K that calls took turns on

  // From `microseconds`; infinite for what was not run.
  double TimeOf(Method method) const {
    return microseconds[IndexOf(method)].value_or(std::numeric_limits<double>::infinity());
  }
  // Rounds that differ so much that the machine must have had other work to do.
  bool IsUnsteady() const { return speed_up.max > 1.5 * speed_up.min; }
};

// All but speed_up_any_type, candidates, scratch_bytes and copies_bytes. `times` has one method of stock, one of ours
// and kAsUsed at least.
Row Evaluate(const Case& the_case, const Times& times);

// speed_up_any_type of `row`, whose case was measured with other types in `others`, or not.
double SpeedUpOverAnyType(const Row& row, std::span<const Row> others);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_RESULT_H_
