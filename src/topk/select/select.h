// Selection: the primitives that keep the k best of a stream of scores. select/candidates.h builds the exact set of
// them.
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

// The k-th largest of count scores, which are finite or -inf (hidden), 1 <= k <= the number of those that are finite.
// scores: 64-byte aligned with room for kMaxLanes more, which are overwritten. Two guesses, one from each side, leave
// few scores of most distributions; bisection finds it among those: some 4 passes over all scores, at most 51.
float KthLargest(float* scores, int64_t count, int64_t k);
float KthLargestReference(float* scores, int64_t count, int64_t k);

// The same for scores that are the upper tail of others, whose least is not far below the k-th: fewer passes.
float KthLargestOfTail(float* scores, int64_t count, int64_t k);

// A guess at a floor that k of the scores reach and not many more, from their mean and deviation in one pass: right
// for nearly all rows of a normal distribution. n_shown of the count scores are finite; 1 <= k < n_shown.
float GuessFloorFor(const float* scores, int64_t count, int64_t n_shown, int64_t k);

// A floor that `least` to `most` of the scores reach, 1 <= least <= most <= count; where ties allow none, the highest
// that at least `least` reach. Fewer passes than KthLargest; the same conditions.
float FloorFor(float* scores, int64_t count, int64_t least, int64_t most);

// The keys whose bits are set, in order: bit j of survivors[b], b < n_blocks, is key first_key + 64 b + j.
// Returns how many. Up to kMaxLanes elements of `keys` past them may be overwritten.
int64_t ListKeys(const uint64_t* survivors, int64_t n_blocks, KeyIndex first_key, KeyIndex* keys);
int64_t ListKeysReference(const uint64_t* survivors, int64_t n_blocks, KeyIndex first_key, KeyIndex* keys);

}  // namespace topk

#endif  // TOPK_SRC_SELECT_SELECT_H_
