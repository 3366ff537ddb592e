// What the parts of a comparison cost, for its progress.
#ifndef QWEN_INFER_BENCH_END_TO_END_COST_H_
#define QWEN_INFER_BENCH_END_TO_END_COST_H_

#include "end_to_end/result.h"

namespace qwen_infer::end_to_end_bench {

// In the unit of ReadingCost.
double Cost(Way way, const Workload& test);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_COST_H_
