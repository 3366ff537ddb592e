// The two steps of the backward pass that other rooms don't have: from the gradients of weights to those of scores, and
// the sums that keys receive from the rows that selected them.
#ifndef TOPK_SRC_BACKWARD_GRADIENTS_H_
#define TOPK_SRC_BACKWARD_GRADIENTS_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"

namespace topk {

// From g = gradients of weights w, in place, to those of scores:
//   softmax: g_j = w_j (g_j - sum_i w_i g_i)      ReLU: g_j = w_j > 0 ? g_j : 0
// padded_count: a multiple of kMaxLanes; numbers past the row are 0 in both arrays, which are 64-byte aligned. The sum
// has one order on each SIMD target. No allocation; any thread.
void ScoreGradients(Activation activation, const float* weights, int64_t padded_count, float* gradients);
void ScoreGradientsReference(Activation activation, const float* weights, int64_t padded_count, float* gradients);

// gradients[j] *= softcap'(x_j), where capped[j] = softcap(x_j) = cap tanh(x_j / cap): 1 - (capped[j] / cap)^2. Same
// conditions.
void SoftcapGradients(float cap, const float* capped, int64_t padded_count, float* gradients);
void SoftcapGradientsReference(float cap, const float* capped, int64_t padded_count, float* gradients);

// Sums of a range of keys, in one worker's memory: keys next to each other lie next to each other, whatever the strides
// of the gradients, so that a range stays in the cache.
struct KeySums {
  float* sums = nullptr;  // row key - first_key has `stride` numbers; 64-byte aligned
  KeyIndex first_key = 0;
  int64_t stride = 0;  // a multiple of kMaxLanes, at least PadToLanes of every d
};

// sums[keys[j]][i] += factors[j] * x[i] for every j and i < d, in the order of j; numbers from d up to PadToLanes(d)
// stay as they are. x: d f32. One fused or two roundings a term, as the SIMD target has them. No allocation; any
// thread.
void AddToKeys(std::span<const KeyIndex> keys, const float* factors, const float* x, int64_t d, const KeySums& sums);
void AddToKeysReference(std::span<const KeyIndex> keys, const float* factors, const float* x, int64_t d,
                        const KeySums& sums);

}  // namespace topk

#endif  // TOPK_SRC_BACKWARD_GRADIENTS_H_
