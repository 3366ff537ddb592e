#include "topk/select/count_for_share.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>

namespace topk {

namespace {

// Bits of floats that are not negative rank like the floats: a bucket holds a sixteenth of an octave, and the last one
// what is 2^-16 of the largest weight and less.
constexpr int kBucketShift = 19;
constexpr uint32_t kBuckets = 256;

struct Bucket {
  double sum = 0.0;
  int64_t count = 0;
};

}  // namespace

int64_t CountForShareReference(float* weights, int64_t count, double share) {
  if (!(share > 0)) return 0;
  std::sort(weights, weights + count, std::greater<>());
  double sum = 0.0;
  for (int64_t j = 0; j < count; ++j) {
    sum += static_cast<double>(weights[j]);
    if (sum >= share) return j + 1;
  }
  return count + 1;
}

int64_t CountForShare(float* weights, int64_t count, double share) {
  if (!(share > 0) || count == 0) return share > 0 ? 1 : 0;
  const uint32_t largest = std::bit_cast<uint32_t>(*std::max_element(weights, weights + count));
  const auto bucket_of = [largest](float weight) {
    return std::min((largest - std::bit_cast<uint32_t>(weight)) >> kBucketShift, kBuckets - 1);
  };
  std::array<Bucket, kBuckets> buckets{};
  for (int64_t j = 0; j < count; ++j) {
    Bucket& bucket = buckets[bucket_of(weights[j])];
    bucket.sum += static_cast<double>(weights[j]);
    ++bucket.count;
  }
  int64_t n = 0;
  double sum = 0.0;
  uint32_t last = 0;  // the bucket in which the share is reached
  for (; last < kBuckets && sum + buckets[last].sum < share; ++last) {
    n += buckets[last].count;
    sum += buckets[last].sum;
  }
  if (last == kBuckets) return count + 1;
  const auto is_in_last = [&](float weight) { return bucket_of(weight) == last; };
  const auto n_last = std::partition(weights, weights + count, is_in_last) - weights;
  // Sums round, so the last weight of the bucket may be missed by a hair.
  return n + std::min<int64_t>(CountForShareReference(weights, n_last, share - sum), n_last);
}

}  // namespace topk
