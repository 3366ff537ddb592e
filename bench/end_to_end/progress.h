// How far a run of many unequal parts is, and how long it may still take.
#ifndef QWEN_INFER_BENCH_END_TO_END_PROGRESS_H_
#define QWEN_INFER_BENCH_END_TO_END_PROGRESS_H_

#include <cstdint>
#include <string>

#include "end_to_end/result.h"

namespace qwen_infer::end_to_end_bench {

// What a part costs, in a unit of its own: only ratios count. From the speed of a model of half a billion parameters on
// two cores; a larger one spends less of its time on attention, so that more of the run is over than it seems.
double Cost(Way way, const Workload& test);

class Progress {
 public:
  explicit Progress(double total_cost) : total_(total_cost) {}

  void Add(double cost) { done_ += cost; }

  // "37 %, about 4 min left", where the parts done took `seconds`; "" before any was.
  std::string Text(double seconds) const;

 private:
  double total_;
  double done_ = 0;
};

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_PROGRESS_H_
