#include <algorithm>
#include <functional>
#include <vector>

#include "topk/load/pack.h"
#include "topk/select/select.h"

namespace topk {

int64_t FilterReference(const float* scores, float floor, KeyIndex first_key, float* out_scores, KeyIndex* out_keys) {
  int64_t kept = 0;
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    if (!(scores[j] >= floor)) continue;
    out_scores[kept] = scores[j];
    out_keys[kept++] = first_key + static_cast<KeyIndex>(j);
  }
  return kept;
}

int64_t CompactReference(float floor, int64_t count, float* scores, KeyIndex* keys) {
  int64_t kept = 0;
  for (int64_t j = 0; j < count; ++j) {
    if (!(scores[j] >= floor)) continue;
    scores[kept] = scores[j];
    keys[kept++] = keys[j];
  }
  return kept;
}

float KthLargestReference(float* scores, int64_t count, int64_t k) {
  std::vector<float> sorted(scores, scores + count);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  return sorted[k - 1];
}

int64_t ListKeysReference(const uint64_t* survivors, int64_t n_blocks, KeyIndex first_key, KeyIndex* keys) {
  int64_t n_keys = 0;
  for (int64_t j = 0; j < n_blocks * kBlockKeys; ++j) {
    const uint64_t bits = survivors[j / kBlockKeys];
    if ((bits >> j % kBlockKeys & 1) != 0) keys[n_keys++] = first_key + static_cast<KeyIndex>(j);
  }
  return n_keys;
}

}  // namespace topk
