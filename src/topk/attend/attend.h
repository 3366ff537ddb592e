// Attend: softmax over scores and the weighted sum of V rows, over a selection (sparse) or block by block (dense).
#ifndef TOPK_SRC_ATTEND_ATTEND_H_
#define TOPK_SRC_ATTEND_ATTEND_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"

namespace topk {

// sum of exp(s - largest) over scores seen so far; merges with others over other scores.
struct ExpSum {
  float largest = -__builtin_inff();
  float sum = 0.0F;

  void Merge(const ExpSum& other);
  double Log() const;  // log of the sum of exp(s); -inf for none
};

// Adds the block's kBlockKeys scores (-inf hides) to `total`.
void AddToExpSum(const float* scores, ExpSum& total);
void AddToExpSumReference(const float* scores, ExpSum& total);

// weights[j] = exp(scores[j] - largest) / (sum + exp(sink_logit - largest)), in place; sink_logit -inf: none.
// Returns sum of exp(s) over these scores alone. The array has room for kMaxLanes more than count.
ExpSum Softmax(float* scores, int64_t count, float sink_logit);
ExpSum SoftmaxReference(float* scores, int64_t count, float sink_logit);

// out[i] = sum_j weights[j] * (number i of value keys[j]), i < d. `values`: the view of one batch and KV head.
void WeightedSum(std::span<const KeyIndex> keys, const float* weights, const TensorView& values, int64_t d, float* out);
void WeightedSumReference(std::span<const KeyIndex> keys, const float* weights, const TensorView& values, int64_t d,
                          float* out);

// One step of online softmax (Milakov and Gimelshein, 2018): scores of a block become exp(s - largest), with `total`
// updated to include them and accumulator[0, d) scaled to the new largest score. d is a multiple of kMaxLanes.
void OnlineSoftmaxStep(float* scores, ExpSum& total, float* accumulator, int64_t d);
void OnlineSoftmaxStepReference(float* scores, ExpSum& total, float* accumulator, int64_t d);

}  // namespace topk

#endif  // TOPK_SRC_ATTEND_ATTEND_H_
