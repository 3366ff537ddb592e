// Times methods in turns: the machine's speed drifts, so only neighbours in time are compared.
#ifndef QWEN_INFER_BENCH_ATTENTION_MEASURE_H_
#define QWEN_INFER_BENCH_ATTENTION_MEASURE_H_

#include <array>
#include <atomic>
#include <functional>
#include <vector>

#include "attention/case.h"
#include "attention/contest.h"
#include "attention/yardstick.h"

namespace qwen_infer::attention_bench {

// Runs once, and on until so much time has passed; of a run. Throws Interrupted between two runs once `stop` is set.
double SecondsPerCall(double least_seconds, const std::atomic<bool>& stop, const std::function<void()>& run);

// By round; empty for what was not run.
struct Times {
  std::array<std::vector<double>, kMethodCount> call;     // seconds a call
  std::array<std::vector<double>, kYardstickCount> unit;  // seconds a unit
};

// Each of options.repeat rounds runs every method for options.seconds, then the yardsticks. Every call takes the next
// copy of the cache. Throws Interrupted between two calls once `stop` is set.
Times Measure(const Contest& contest, const std::vector<YardstickRun>& yardsticks, const Options& options,
              const std::atomic<bool>& stop);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_MEASURE_H_
