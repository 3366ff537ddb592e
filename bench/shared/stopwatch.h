// Wall time from its creation on.
#ifndef QWEN_INFER_BENCH_SHARED_STOPWATCH_H_
#define QWEN_INFER_BENCH_SHARED_STOPWATCH_H_

#include <chrono>

namespace qwen_infer {

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_STOPWATCH_H_
