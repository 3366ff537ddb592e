// Which of a sample's scores is a good guess at a floor for all scores.
#ifndef TOPK_SRC_SELECT_GUESS_H_
#define TOPK_SRC_SELECT_GUESS_H_

#include <cstdint>

namespace topk {

// The rank, from 1, in a sample of n_sample of n_keys scores of the one that should be at or below the k-th best of
// all: the expected rank and so many of its standard deviations.
int64_t GuessRank(int64_t k, int64_t n_sample, int64_t n_keys, double deviations);

}  // namespace topk

#endif  // TOPK_SRC_SELECT_GUESS_H_
