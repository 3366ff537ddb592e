// Measures from how many keys on our top-k kernels are faster than our dense ones on this machine, and how llama.cpp's
// attention does beside both.
#ifndef QWEN_INFER_BENCH_ATTENTION_CALIBRATE_H_
#define QWEN_INFER_BENCH_ATTENTION_CALIBRATE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "crossover.h"

namespace qwen_infer::attention_bench {

// What was measured at one number of keys, in rounds of all ways in turns. Times in microseconds a call, medians.
struct Trial {
  int64_t n_key = 0;
  double share = 1;  // time of top-k as a share of the dense one's, neighbours in time compared
  double top_k = 0;
  double dense = 0;
  double llama = 0;        // the faster of llama.cpp's ways
  double top_k_llama = 0;  // time of top-k as a share of that, neighbours compared
  double dense_llama = 0;  // the same of the dense way
  double spread = 1;       // of the shares of rounds but for the lowest and the highest: largest / smallest

  bool IsNoisy() const;
};

// The crossover is the trial from which on top-k gains most: with the least sum of log(share), so that one noisy trial
// does not decide. If top-k gains nowhere, it is twice the last number. `trials`: by ascending keys.
int64_t FindCrossover(const std::vector<Trial>& trials);

// Tries until a trial is not noisy, kMostAttempts times at most and no longer than `may_repeat` says so; returns the
// one with the least spread.
inline constexpr int kMostAttempts = 3;
Trial TrySteadily(const std::function<Trial()>& attempt, const std::function<bool()>& may_repeat);

// A line of text for each trial, with a head and the crossover below.
std::string Report(std::string_view what, const std::vector<Trial>& trials, int64_t crossover);

// A sentence for each trial at which the way that is taken with this crossover is slower than llama.cpp's better one.
std::vector<std::string> Warnings(std::string_view what, const std::vector<Trial>& trials, int64_t crossover);

struct Calibration {
  std::vector<Crossover> crossovers;
  std::vector<std::string> warnings;
  int n_trials = 0;
  int n_noisy = 0;  // that stayed so however often they were repeated
};

// For head sizes 64 and 128, decode and prefill, with k = kCalibratedBudget. Takes up to half a minute and 400 MB.
// `say` hears what was found. Throws Interrupted (shared/interrupted.h) soon after `stop` is set, std::exception if
// memory runs out or ggml's CPU backend is not there.
Calibration Calibrate(int threads, const std::atomic<bool>& stop, const std::function<void(std::string_view)>& say);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_CALIBRATE_H_
