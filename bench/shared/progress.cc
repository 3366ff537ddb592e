#include "shared/progress.h"

#include <algorithm>

#include "shared/fixed.h"

namespace qwen_infer {

namespace {

constexpr double kMinute = 60;

}  // namespace

double ReadingCost(int64_t tokens, int64_t depth, double doubling) {
  const double middle = static_cast<double>(depth) + static_cast<double>(tokens) / 2;
  return static_cast<double>(tokens) * (1 + middle / doubling);
}

std::string Progress::Text(double seconds) const {
  if (done_ <= 0) return "";
  const double share = std::min(1.0, done_ / total_);
  const double left = seconds * (1 - share) / share;
  return Fixed(100 * share, 0) + " %, about " +
         (left < 2 * kMinute ? Fixed(left, 0) + " s" : Fixed(left / kMinute, 0) + " min") + " left";
}

}  // namespace qwen_infer
