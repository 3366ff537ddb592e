#include "topk/scan/scan_integers.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace topk {

namespace {

// Number m of a group of a row, or of a key in int16.
int32_t NumberOf(NumberWidth width, const uint8_t* group, int64_t m) {
  if (width == NumberWidth::kInt8) return static_cast<int8_t>(group[m]);
  int16_t number = 0;
  std::memcpy(&number, group + m * static_cast<int64_t>(sizeof number), sizeof number);
  return number;
}

int32_t KeyNumberOf(NumberWidth width, const uint8_t* group, int64_t m) {
  return width == NumberWidth::kInt8 ? group[m] - kByteOffset : NumberOf(width, group, m);
}

// `key`: the key's first group.
int32_t Dot(const QuantizedRows& rows, int64_t r, const uint8_t* key, int64_t d) {
  const int64_t n_groups = GroupsOf(d, rows.width);
  const uint8_t* row = static_cast<const uint8_t*>(rows.numbers) + r * n_groups * kGroupBytes;
  const int64_t per_group = WithNumbers(rows.width, [](auto numbers) { return decltype(numbers)::kPerGroup; });
  int32_t dot = 0;
  for (int64_t g = 0; g < n_groups; ++g) {
    for (int64_t m = 0; m < per_group; ++m) {
      dot += NumberOf(rows.width, row + g * kGroupBytes, m) *
             KeyNumberOf(rows.width, key + g * kBlockKeys * kGroupBytes, m);
    }
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
      thresholds[b * kIntegerStride + r] = static_cast<int32_t>(std::ceil(clamped)) - 1;
    }
  }
}

void ScanIntegersReference(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                           const int32_t* thresholds, uint64_t* survivors) {
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t r = 0; r < rows.n_rows; ++r) {
      uint64_t bits = 0;
      for (int64_t j = 0; j < kBlockKeys; ++j) {
        const int32_t dot = Dot(rows, r, panels + b * QuantizedPanelBytes(d, rows.width) + j * kGroupBytes, d);
        bits |= uint64_t{dot > thresholds[b * kIntegerStride + r]} << j;
      }
      survivors[r * kSurvivorStride + b] = bits;
    }
  }
}

void SampleIntegersReference(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales,
                             int64_t n_vectors, int64_t d, float* scores, int64_t stride) {
  for (int64_t r = 0; r < rows.n_rows; ++r) {
    for (int64_t c = 0; c < n_vectors * kMaxLanes; ++c) {
      const int32_t dot = Dot(rows, r, vectors[c / kMaxLanes] + c % kMaxLanes * kGroupBytes, d);
      scores[r * stride + c] = scales[c / kMaxLanes] * static_cast<float>(dot);
    }
  }
}

}  // namespace topk
