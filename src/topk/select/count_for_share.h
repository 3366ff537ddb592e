// How many of the largest weights of a row hold a share of their sum: the budget that a mass target asks for.
#ifndef TOPK_SRC_SELECT_COUNT_FOR_SHARE_H_
#define TOPK_SRC_SELECT_COUNT_FOR_SHARE_H_

#include <cstdint>

namespace topk {

// The smallest number of the `count` weights, largest first, whose sum is at least `share`; count + 1 if all of them
// are less, and 0 if share is not above 0 or is no number. Weights are at least 0 and finite. Reorders them.
// O(count): weights are counted in buckets by their logarithm, and only those of one bucket sorted.
int64_t CountForShare(float* weights, int64_t count, double share);
int64_t CountForShareReference(float* weights, int64_t count, double share);

}  // namespace topk

#endif  // TOPK_SRC_SELECT_COUNT_FOR_SHARE_H_
