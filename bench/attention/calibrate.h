// Measures from how many keys on our top-k kernels are faster than our dense ones on this machine.
#ifndef QWEN_INFER_BENCH_ATTENTION_CALIBRATE_H_
#define QWEN_INFER_BENCH_ATTENTION_CALIBRATE_H_

#include <atomic>
#include <functional>
#include <string_view>
#include <vector>

#include "crossover.h"

namespace qwen_infer::attention_bench {

// For head sizes 64 and 128, decode and prefill, with k = kCalibratedBudget. Takes seconds, and up to 400 MB. `say`
// hears what was found. Throws Interrupted (shared/interrupted.h) soon after `stop` is set, std::exception if memory
// runs out.
std::vector<Crossover> MeasureCrossovers(int threads, const std::atomic<bool>& stop,
                                         const std::function<void(std::string_view)>& say);

// The rule alone. A trial is a number of keys and the time of top-k there as a share of the dense one's, in ascending
// order. The crossover is the trial from which on top-k gains most: with the least sum of log(share), so that one noisy
// trial does not decide. If top-k gains nowhere, it is twice the last number.
struct Trial {
  int64_t n_key = 0;
  double share = 1;
};
int64_t FindCrossover(const std::vector<Trial>& trials);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_CALIBRATE_H_
