#include <algorithm>
#include <cmath>
#include <vector>

#include "topk/quantize/quantize.h"
#include "topk/quantize/quantize_scale.h"

namespace topk {

namespace {

// Element (row, column) of a Hadamard matrix: -1 to the number of ones that both indices have.
float Hadamard(int64_t row, int64_t column) {
  return __builtin_popcountll(static_cast<uint64_t>(row & column)) % 2 == 0 ? 1.0F : -1.0F;
}

struct VectorFacts {
  double norm2 = 0;
  double error2 = 0;
  int32_t sum = 0;
};

// emit(i, number) takes number i of vector j.
template <typename Emit>
VectorFacts QuantizeVector(const float* panel, int64_t d, int64_t j, float scale, Emit&& emit) {
  VectorFacts facts;
  for (int64_t i = 0; i < GroupsOf(d) * kGroup; ++i) {
    const float y = i < d ? panel[i * kBlockKeys + j] : 0.0F;
    const auto number = static_cast<int32_t>(std::nearbyint(y * (1.0F / scale)));
    const double residual = static_cast<double>(y) - static_cast<double>(scale) * number;
    facts.norm2 += static_cast<double>(y) * y;
    facts.error2 += residual * residual;
    facts.sum += number;
    emit(i, number);
  }
  return facts;
}

float LargestOf(const float* panel, int64_t d, int64_t j) {
  float largest = 0.0F;
  for (int64_t i = 0; i < d; ++i) largest = std::max(largest, std::abs(panel[i * kBlockKeys + j]));
  return largest;
}

}  // namespace

void TransformPanelReference(float* panel, int64_t d, const float* shift, const float* factor, float gain) {
  const int64_t h = HadamardSize(d);
  std::vector<double> column(static_cast<size_t>(d));
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    for (int64_t i = 0; i < d; ++i) {
      const double centred = static_cast<double>(panel[i * kBlockKeys + j]) - (shift == nullptr ? 0.0F : shift[i]);
      column[i] = centred * factor[i] * gain;
    }
    for (int64_t i = 0; i < d; ++i) {
      double sum = 0;
      for (int64_t m = 0; m < h; ++m) sum += Hadamard(i % h, m) * column[i / h * h + m];
      panel[i * kBlockKeys + j] = static_cast<float>(sum);
    }
  }
}

BlockFacts QuantizeKeysReference(const float* panel, int64_t d, uint8_t* out) {
  float largest = 0.0F;
  for (int64_t j = 0; j < kBlockKeys; ++j) largest = std::max(largest, LargestOf(panel, d, j));
  BlockFacts block{ScaleOf(largest), 0.0F, 0.0F};
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    const VectorFacts facts = QuantizeVector(panel, d, j, block.scale, [&](int64_t i, int32_t number) {
      out[(i / kGroup * kBlockKeys + j) * kGroup + i % kGroup] = static_cast<uint8_t>(number + kByteOffset);
    });
    block.norm = std::max(block.norm, NormOf(static_cast<float>(facts.norm2)));
    block.error = std::max(block.error, NormOf(static_cast<float>(facts.error2)));
  }
  return block;
}

void QuantizeQueriesReference(const float* panel, int64_t d, int8_t* out, const QueryFacts& facts) {
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    facts.scale[j] = ScaleOf(LargestOf(panel, d, j));
    const VectorFacts vector = QuantizeVector(panel, d, j, facts.scale[j], [&](int64_t i, int32_t number) {
      out[j * GroupsOf(d) * kGroup + i] = static_cast<int8_t>(number);
    });
    facts.norm[j] = NormOf(static_cast<float>(vector.norm2));
    facts.error[j] = NormOf(static_cast<float>(vector.error2));
    facts.sum[j] = vector.sum;
  }
}

}  // namespace topk
