#include "positions.h"

#include <algorithm>

namespace qwen_infer::eval {

namespace {

// Up to here, budgets that anyone uses keep nearly everything.
constexpr int64_t kFirstBucket = 256;

}  // namespace

std::string NameOf(const Positions& positions) {
  return std::to_string(positions.first) + "-" + std::to_string(positions.last - 1);
}

std::vector<Positions> PositionBuckets(int64_t window) {
  std::vector<Positions> buckets;
  for (int64_t first = 1, last = kFirstBucket; first < window; first = last, last *= 2) {
    buckets.push_back({first, std::min(last, window)});
  }
  return buckets;
}

}  // namespace qwen_infer::eval
