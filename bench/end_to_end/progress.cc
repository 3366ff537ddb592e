#include "end_to_end/progress.h"

#include <algorithm>

#include "shared/fixed.h"

namespace qwen_infer::end_to_end_bench {

namespace {

// Tokens that are read while one is generated.
constexpr double kGeneration = 6;
// Depth at which a token costs twice what it does without context.
constexpr double kStockDoubling = 6000;
constexpr double kTopKDoubling = 24000;

constexpr double kMinute = 60;

}  // namespace

double Cost(Way way, const Workload& test) {
  const double depth = static_cast<double>(test.depth) + static_cast<double>(test.tokens) / 2;
  const double doubling = way == Way::kTopK ? kTopKDoubling : kStockDoubling;
  return static_cast<double>(test.tokens) * (test.kind == Kind::kGenerate ? kGeneration : 1) * (1 + depth / doubling);
}

std::string Progress::Text(double seconds) const {
  if (done_ <= 0) return "";
  const double share = std::min(1.0, done_ / total_);
  const double left = seconds * (1 - share) / share;
  return Fixed(100 * share, 0) + " %, about " +
         (left < 2 * kMinute ? Fixed(left, 0) + " s" : Fixed(left / kMinute, 0) + " min") + " left";
}

}  // namespace qwen_infer::end_to_end_bench
