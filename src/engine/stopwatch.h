// Wall time.
#ifndef QWEN_INFER_SRC_ENGINE_STOPWATCH_H_
#define QWEN_INFER_SRC_ENGINE_STOPWATCH_H_

#include <chrono>

namespace qwen_infer {

// Adds the time that it lives to a number of seconds.
class TimeInto {
 public:
  explicit TimeInto(double& seconds) : seconds_(&seconds), start_(std::chrono::steady_clock::now()) {}
  ~TimeInto() { *seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  TimeInto(const TimeInto&) = delete;
  TimeInto& operator=(const TimeInto&) = delete;

 private:
  double* seconds_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_STOPWATCH_H_
