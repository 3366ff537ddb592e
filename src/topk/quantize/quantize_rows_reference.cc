#include <algorithm>
#include <cmath>

#include "topk/numeric.h"
#include "topk/quantize/quantize_rows.h"
#include "topk/quantize/quantize_scale.h"

namespace topk {

int32_t QuantizeRowsReference(const KeyBlock& block, int64_t d, const float* factor, const float* centre,
                              uint8_t* panel) {
  int32_t largest = 0;
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    int32_t squares = 0;
    for (int64_t g = 0; g < PadToRowChunks(d) / kGroup; ++g) {
      for (int64_t m = 0; m < kGroup; ++m) {
        const int64_t i = NumberAt(g, m);
        double number = 0;
        if (j < block.count && i < d) {
          // exact: a product of two f32 and the sum with a small integer
          const double key = ReadNumber(block.keys.type, block.keys.Row(0, block.first + j, 0), i);
          number = std::nearbyint(key * static_cast<double>(factor[i]) - static_cast<double>(centre[i]));
        }
        const bool is_byte = number >= -kByteOffset && number <= kLargestNumber;  // NaN is none
        if (!is_byte) return -1;
        const auto n = static_cast<int32_t>(number);
        panel[(g * kBlockKeys + j) * kGroup + m] = static_cast<uint8_t>(n + kByteOffset);
        squares += n * n;
      }
    }
    largest = std::max(largest, squares);
  }
  return largest;
}

}  // namespace topk
