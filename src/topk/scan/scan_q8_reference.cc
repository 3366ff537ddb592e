#include <algorithm>
#include <cmath>
#include <limits>

#include "topk/numeric.h"
#include "topk/scan/scan_q8.h"

namespace topk {

namespace {

// Where number i of key j stands.
int64_t PlaceOf(int64_t i, int64_t j) { return (i / kGroup * kBlockKeys + j) * kGroup + i % kGroup; }

}  // namespace

float PackQ8Reference(const KeyBlock& block, int64_t d, const Q8Panel& panel) {
  double largest = 0;
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    const bool is_there = j < block.count;
    const uint8_t* row = block.keys.Row(0, block.first + (is_there ? j : 0), 0);
    double squares = 0;
    for (int64_t b = 0; b < d / kQ8BlockSize; ++b) {
      const uint8_t* stored = row + b * kQ8BlockBytes;
      panel.scales[b * kBlockKeys + j] = is_there ? F16ToF32(ReadAs<uint16_t>(stored)) : 0.0F;
      for (int64_t i = b * kQ8BlockSize; i < (b + 1) * kQ8BlockSize; ++i) {
        const int number = is_there ? ReadAs<int8_t>(stored + 2 + i % kQ8BlockSize) : 0;
        panel.numbers[PlaceOf(i, j)] = static_cast<uint8_t>(number + 128);
        const double x = number * static_cast<double>(panel.scales[b * kBlockKeys + j]);
        squares += x * x;
      }
    }
    if (std::isnan(squares)) return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, squares);
  }
  return RoundUp(std::sqrt(largest));
}

void ScanQ8Reference(const Q8Rows& rows, const Q8Panel& panel, int64_t d, const float* thresholds,
                     uint64_t* survivors) {
  const int64_t n_blocks = d / kQ8BlockSize;
  for (int64_t r = 0; r < rows.n_rows; ++r) {
    uint64_t bits = 0;
    for (int64_t j = 0; j < kBlockKeys; ++j) {
      float score = 0.0F;
      for (int64_t b = 0; b < n_blocks; ++b) {
        int32_t dot = 0;
        for (int64_t i = b * kQ8BlockSize; i < (b + 1) * kQ8BlockSize; ++i) {
          dot += (128 * rows.high[r * d + i] + rows.low[r * d + i]) * (panel.numbers[PlaceOf(i, j)] - 128);
        }
        score = std::fma(static_cast<float>(dot), panel.scales[b * kBlockKeys + j], score);
      }
      bits |= uint64_t{!(score < thresholds[r])} << j;
    }
    survivors[r * kSurvivorStride] = bits;
  }
}

}  // namespace topk
