// What one head did over a whole text.
#ifndef QWEN_INFER_INSPECT_HEAD_FIGURES_H_
#define QWEN_INFER_INSPECT_HEAD_FIGURES_H_

#include <array>
#include <bit>
#include <cstdint>

#include "topk/attention.h"

namespace qwen_infer::inspect {

// More tokens than a page can show: keys are stored in 16 bits.
inline constexpr int64_t kMaxTokens = int64_t{1} << 16;

// How far back a key lies from its query, in bins that double: 0, 1, 2-3, 4-7, ..., 32768-65535.
inline constexpr size_t kDistanceBins = 17;
inline size_t DistanceBin(int64_t distance) { return std::bit_width(static_cast<uint64_t>(distance)); }

struct HeadFigures {
  topk::Statistics sums;  // rows, keys and mass
  // By distance: the sum of the weights of all rows, and how many keys they kept.
  std::array<double, kDistanceBins> weight = {};
  std::array<int64_t, kDistanceBins> kept = {};
};

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_HEAD_FIGURES_H_
