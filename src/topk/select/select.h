// Selection: the primitives that keep the k best of a stream of scores. select/candidates.h builds the exact set of them.
#ifndef TOPK_SRC_SELECT_SELECT_H_
#define TOPK_SRC_SELECT_SELECT_H_

#include <cstdint>

#include "topk/attention.h"

namespace topk {

// Appends the scores[j] >= floor of a block of kBlockKeys and their keys first_key + j, in order; returns how many.
// scores: 64-byte aligned, no NaN; hidden keys are -inf and floor is finite. Up to kBlockKeys + kMaxLanes
// elements of the outputs may be overwritten.
int64_t Filter(const float* scores, float floor, KeyIndex first_key, float* out_scores, KeyIndex* out_keys);
int64_t FilterReference(const float* scores, float floor, KeyIndex first_key, float* out_scores, KeyIndex* out_keys);

// Removes the candidates below floor in place, keeping the order; returns how many are left. The arrays have room for
// kMaxLanes more than count.
int64_t Compact(float floor, int64_t count, float* scores, KeyIndex* keys);
int64_t CompactReference(float floor, int64_t count, float* scores, KeyIndex* keys);

// The k-th largest of count finite scores, 1 <= k <= count. scores: 64-byte aligned with room for kMaxLanes more,
// which are overwritten. Bisection: about log2(count) passes over the scores, at most 32.
float KthLargest(float* scores, int64_t count, int64_t k);
float KthLargestReference(float* scores, int64_t count, int64_t k);

}  // namespace topk

#endif  // TOPK_SRC_SELECT_SELECT_H_
