#include <algorithm>
#include <bit>

#include "topk/scan/scan_split.h"

namespace topk {

namespace {

// Parts of a number, `stride` apart.
void Split(float x, int64_t stride, uint16_t* parts) {
  for (int64_t p = 0; p < kSplitParts; ++p) {
    const auto bits = std::bit_cast<uint32_t>(x);
    parts[p * stride] = static_cast<uint16_t>(bits >> 16);
    x -= std::bit_cast<float>(bits & 0xFFFF0000U);
  }
}

}  // namespace

void SplitPanelReference(const float* panel, int64_t d, uint16_t* parts) {
  std::fill_n(parts, SplitPanelSize(d), uint16_t{0});
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < kBlockKeys; ++j) {
      Split(panel[i * kBlockKeys + j], PadToSplit(d) * kBlockKeys, parts + (i / 2 * kBlockKeys + j) * 2 + i % 2);
    }
  }
}

void SplitRowsReference(const float* rows, int64_t stride, int64_t n_rows, int64_t d, uint16_t* parts) {
  const int64_t padded_rows = (n_rows + kSplitRows - 1) / kSplitRows * kSplitRows;
  std::fill_n(parts, SplitRowsSize(padded_rows, d), uint16_t{0});
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t i = 0; i < d; ++i) {
      Split(rows[r * stride + i], padded_rows * PadToSplit(d), parts + r * PadToSplit(d) + i);
    }
  }
}

}  // namespace topk
