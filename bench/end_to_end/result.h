// From times to the figures of a line of the table.
#ifndef QWEN_INFER_BENCH_END_TO_END_RESULT_H_
#define QWEN_INFER_BENCH_END_TO_END_RESULT_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "end_to_end/contestant.h"
#include "shared/ratio.h"

namespace qwen_infer::end_to_end_bench {

enum class Kind { kRead, kGenerate };
inline constexpr std::array<Kind, 2> kKinds = {Kind::kRead, Kind::kGenerate};

constexpr size_t IndexOf(Kind kind) { return static_cast<size_t>(kind); }

struct Workload {
  Kind kind = Kind::kRead;
  int64_t tokens = 0;
  int64_t depth = 0;

  // As llama-bench has it: "pp" or "tg", and "pp512 @ d4096".
  std::string KindName() const;
  std::string Name() const;
};

struct Row {
  Workload test;
  std::array<std::vector<double>, kWays.size()> rates;  // tokens/s by round; empty for what was not run
  Way best_stock = Way::kStockFlash;                    // by medians
  Ratio speed_up;                                       // rate of top-k / rate of best_stock, round by round
};

using Seconds = std::array<std::vector<double>, kWays.size()>;  // by way and round

// How many rounds all ways have finished that have begun any; 0 if top-k or all of stock have not.
size_t FinishedRounds(const Seconds& seconds);

// The first `rounds` of them, at least 1.
Row Evaluate(const Workload& test, const Seconds& seconds, size_t rounds);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_RESULT_H_
