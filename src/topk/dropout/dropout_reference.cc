#include "topk/dropout/dropout.h"

#include <algorithm>

namespace topk {

namespace {

// The step and the output function of SplitMix64 (Steele et al., 2014), at position `row` of the seed's stream.
uint64_t HashOfRow(uint64_t seed, int64_t row) {
  uint64_t x = seed + (static_cast<uint64_t>(row) + 1) * 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

uint32_t Mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7FEB352DU;
  x = (x ^ (x >> 15)) * 0x846CA68BU;
  return x ^ (x >> 16);
}

}  // namespace

DropoutRow DropoutRow::Of(const AttentionInput& input, int64_t row) {
  const uint64_t hash = HashOfRow(input.dropout_seed, row);
  const auto p = static_cast<double>(input.dropout_p);
  return {.a = static_cast<uint32_t>(hash),
          .b = static_cast<uint32_t>(hash >> 32),
          .threshold = static_cast<uint32_t>(p * 0x1p32),  // p is at most 1 - 2^-24
          .factor = static_cast<float>(1.0 / (1.0 - p))};
}

float DropoutFactor(const DropoutRow& row, KeyIndex key) {
  const uint32_t random = Mix(Mix(static_cast<uint32_t>(key) ^ row.a) + row.b);
  return random >= row.threshold ? row.factor : 0.0F;
}

void DropWeightsReference(const DropoutRow& row, std::span<const KeyIndex> keys, float* weights) {
  for (size_t j = 0; j < keys.size(); ++j) {
    const float factor = DropoutFactor(row, keys[j]);
    weights[j] = factor == 0.0F ? 0.0F : weights[j] * factor;
  }
}

void ApplyDropout(const AttentionInput& input, const SelectionView& selection, float* weights) {
  for (size_t r = 0; r + 1 < selection.row_offsets.size(); ++r) {
    const auto begin = static_cast<size_t>(selection.row_offsets[r]);
    const auto count = static_cast<size_t>(selection.row_offsets[r + 1]) - begin;
    if (weights != selection.weights.data()) {
      std::copy_n(selection.weights.begin() + static_cast<int64_t>(begin), count, weights + begin);
    }
    if (input.dropout_p == 0.0F) continue;
    DropWeights(DropoutRow::Of(input, static_cast<int64_t>(r)), selection.keys.subspan(begin, count), weights + begin);
  }
}

}  // namespace topk
