#include "topk/backward/gradients.h"

namespace topk {

void ScoreGradientsReference(Activation activation, const float* weights, int64_t padded_count, float* gradients) {
  double mean = 0.0;
  for (int64_t j = 0; j < padded_count; ++j)
    mean += static_cast<double>(weights[j]) * static_cast<double>(gradients[j]);
  for (int64_t j = 0; j < padded_count; ++j) {
    if (activation == Activation::kSoftmax) {
      gradients[j] = static_cast<float>(static_cast<double>(weights[j]) * (static_cast<double>(gradients[j]) - mean));
    } else if (!(weights[j] > 0.0F)) {
      gradients[j] = 0.0F;
    }
  }
}

void SoftcapGradientsReference(float cap, const float* capped, int64_t padded_count, float* gradients) {
  for (int64_t j = 0; j < padded_count; ++j) {
    const float tanh = capped[j] / cap;
    gradients[j] *= 1.0F - tanh * tanh;
  }
}

void AddToKeysReference(std::span<const KeyIndex> keys, const float* factors, const float* x, int64_t d,
                        const KeySums& sums) {
  for (size_t j = 0; j < keys.size(); ++j) {
    float* sum = sums.sums + (keys[j] - sums.first_key) * sums.stride;
    for (int64_t i = 0; i < d; ++i) sum[i] += factors[j] * x[i];
  }
}

}  // namespace topk
