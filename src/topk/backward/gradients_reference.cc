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

void DotEntriesReference(const RangeEntries& entries, const PaddedRows& x, const PaddedRows& y, float* dots) {
  for (int64_t r = 0; r < entries.n_rows; ++r) {
    const uint32_t* starts = entries.starts + r * entries.start_stride;
    for (uint32_t e = starts[0]; e < starts[1]; ++e) {
      const float* value = y.Row(entries.keys[entries.begins[r] + e]);
      double sum = 0.0;
      for (int64_t i = 0; i < x.d; ++i) sum += static_cast<double>(x.Row(r)[i]) * static_cast<double>(value[i]);
      dots[entries.firsts[r] + e] = static_cast<float>(sum);
    }
  }
}

void AddToKeysReference(const RangeEntries& entries, const KeyTerms& a, const KeyTerms& b, float* sums) {
  for (int64_t r = 0; r < entries.n_rows; ++r) {
    const uint32_t* starts = entries.starts + r * entries.start_stride;
    for (uint32_t e = starts[0]; e < starts[1]; ++e) {
      float* sum = sums + (entries.keys[entries.begins[r] + e] - entries.first_key) * (a.x.d + b.x.d);
      for (int64_t i = 0; i < a.x.d; ++i) sum[i] += a.factors[a.begins[r] + e] * a.x.Row(r)[i];
      for (int64_t i = 0; i < b.x.d; ++i) sum[a.x.d + i] += b.factors[b.begins[r] + e] * b.x.Row(r)[i];
    }
  }
}

}  // namespace topk
