#include "topk/scan/scan_int8.h"

#include <algorithm>
#include <cmath>

namespace topk {

namespace {

// `key`: the first byte of the key's first group.
int32_t Dot(const QuantizedRows& rows, int64_t r, const uint8_t* key, int64_t d) {
  const int8_t* row = rows.numbers + r * GroupsOf(d) * kGroup;
  int32_t dot = 0;
  for (int64_t i = 0; i < GroupsOf(d) * kGroup; ++i) {
    dot += row[i] * (key[i / kGroup * kBlockKeys * kGroup + i % kGroup] - 128);
  }
  return dot;
}

}  // namespace

void FindThresholdsReference(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                             int32_t* thresholds) {
  constexpr double kLimit = 0x1p30;
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t r = 0; r < PadToLanes(n_rows); ++r) {
      const double least = static_cast<double>(rows.least[r]) * blocks.inverse_scale[b] -
                           static_cast<double>(rows.norm[r]) * blocks.scaled_norm[b] -
                           static_cast<double>(rows.error[r]) * blocks.scaled_error[b];
      const double clamped = std::isnan(least) ? -kLimit : std::clamp(least, -kLimit, kLimit);
      thresholds[b * kInt8Stride + r] = static_cast<int32_t>(std::ceil(clamped)) - 1;
    }
  }
}

void ScanInt8Reference(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                       const int32_t* thresholds, uint64_t* survivors) {
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t r = 0; r < rows.n_rows; ++r) {
      uint64_t bits = 0;
      for (int64_t j = 0; j < kBlockKeys; ++j) {
        const int32_t dot = Dot(rows, r, panels + b * QuantizedPanelBytes(d) + j * kGroup, d);
        bits |= uint64_t{dot > thresholds[b * kInt8Stride + r]} << j;
      }
      survivors[b * kInt8Stride + r] = bits;
    }
  }
}

void SampleInt8Reference(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales,
                         int64_t n_vectors, int64_t d, float* scores, int64_t stride) {
  for (int64_t r = 0; r < rows.n_rows; ++r) {
    for (int64_t c = 0; c < n_vectors * kMaxLanes; ++c) {
      const int32_t dot = Dot(rows, r, vectors[c / kMaxLanes] + c % kMaxLanes * kGroup, d);
      scores[r * stride + c] = scales[c / kMaxLanes] * static_cast<float>(dot);
    }
  }
}

}  // namespace topk
