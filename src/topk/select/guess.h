// A guess at the k-th best of many scores from a sample of them: a floor that is not proven.
#ifndef TOPK_SRC_SELECT_GUESS_H_
#define TOPK_SRC_SELECT_GUESS_H_

#include <cstdint>
#include <optional>

namespace topk {

// What a sample was taken from.
struct SampledScores {
  int64_t n_sample;  // scores of the sample that compete
  int64_t n_keys;    // of so many
};

// The score of the sample that should be at or below the k-th best of all: that of the expected rank and so many of its
// standard deviations more. Nothing if the sample is too small to tell. scores: `count` of them, n_sample of which are
// finite and the others -inf; 64-byte aligned, with room for kMaxLanes more, which are overwritten.
std::optional<float> GuessFloor(float* scores, int64_t count, const SampledScores& sampled, int64_t k,
                                double deviations);

}  // namespace topk

#endif  // TOPK_SRC_SELECT_GUESS_H_
