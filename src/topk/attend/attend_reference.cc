#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "topk/attend/attend.h"
#include "topk/load/pack.h"
#include "topk/numeric.h"

namespace topk {

void ExpSum::Merge(const ExpSum& other) {
  if (other.sum == 0.0F) return;
  const float top = std::max(largest, other.largest);
  sum = (sum == 0.0F ? 0.0F : sum * std::exp(largest - top)) + other.sum * std::exp(other.largest - top);
  largest = top;
}

double ExpSum::Log() const { return static_cast<double>(largest) + std::log(static_cast<double>(sum)); }

void AddToExpSumReference(const float* scores, ExpSum& total) {
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    if (scores[j] != -std::numeric_limits<float>::infinity()) total.Merge({scores[j], 1.0F});
  }
}

ExpSum SoftmaxReference(float* scores, int64_t count, float sink_logit) {
  float largest = sink_logit;
  for (int64_t j = 0; j < count; ++j) largest = std::max(largest, scores[j]);
  ExpSum total{largest, 0.0F};
  for (int64_t j = 0; j < count; ++j) total.sum += scores[j] = std::exp(scores[j] - largest);
  const float denominator = total.sum + (std::isinf(sink_logit) ? 0.0F : std::exp(sink_logit - largest));
  for (int64_t j = 0; j < count; ++j) scores[j] /= denominator;
  return total;
}

void WeightedSumReference(std::span<const KeyIndex> keys, const float* weights, const TensorView& values, int64_t d,
                          float* out) {
  std::fill_n(out, d, 0.0F);
  for (size_t j = 0; j < keys.size(); ++j) {
    const uint8_t* row = values.Row(0, keys[j], 0);
    for (int64_t i = 0; i < d; ++i) out[i] += weights[j] * ReadNumber(values.type, row, i);
  }
}

void OnlineSoftmaxStepReference(float* scores, ExpSum& total, float* accumulator, int64_t d) {
  const float block_largest = *std::max_element(scores, scores + kBlockKeys);
  if (block_largest == -std::numeric_limits<float>::infinity()) {
    std::fill_n(scores, kBlockKeys, 0.0F);
    return;
  }
  const float top = std::max(total.largest, block_largest);
  const float rescale = std::exp(total.largest - top);
  total.sum *= rescale;
  total.largest = top;
  for (int64_t i = 0; i < d; ++i) accumulator[i] *= rescale;
  for (int64_t j = 0; j < kBlockKeys; ++j) total.sum += scores[j] = std::exp(scores[j] - top);
}

}  // namespace topk
