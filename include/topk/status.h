// Errors as values: the kernel library neither throws nor prints nor aborts.
#ifndef TOPK_STATUS_H_
#define TOPK_STATUS_H_

#include <string>
#include <utility>

namespace topk {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument = 1,     // a shape, stride, pointer or option is out of its range
  kOutOfMemory = 2,         // scratch could not be allocated; outputs are untouched
  kBudgetCoversAllKeys = 3  // options.fallback is off and no query sees more than k keys
};

// A code and, unless it is kOk, a sentence that names the bad value and the fix.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status InvalidArgument(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

}  // namespace topk

#endif  // TOPK_STATUS_H_
