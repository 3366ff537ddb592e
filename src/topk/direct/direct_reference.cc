#include <algorithm>
#include <bit>
#include <cmath>

#include "topk/direct/direct.h"
#include "topk/load/pack.h"
#include "topk/numeric.h"

namespace topk {

bool ScoreDirectlyReference(const float* queries, int64_t n_rows, const TensorView& keys, int64_t first, int64_t count,
                            int64_t d, float* scores, int64_t scores_stride, int32_t* magnitude) {
  bool grew = false;
  for (int64_t r = 0; r < n_rows; ++r) std::fill_n(scores + r * scores_stride, kBlockKeys, 0.0F);
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t i = 0; i < d; ++i) {
      const float x = ReadNumber(keys.type, keys.Row(0, first + j, 0), i);
      const int32_t bits = std::bit_cast<int32_t>(x) & 0x7FFFFFFF;
      grew |= bits > magnitude[i];
      magnitude[i] = std::max(magnitude[i], bits);
      for (int64_t r = 0; r < n_rows; ++r) scores[r * scores_stride + j] += queries[r * PadToLanes(d) + i] * x;
    }
  }
  return grew;
}

bool AddDirectlyReference(const float* weights, int64_t n_rows, const TensorView& values, int64_t first, int64_t count,
                          int64_t d, float* sums) {
  bool all_finite = true;
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t i = 0; i < d; ++i) {
      float& sum = sums[r * PadToLanes(d) + i];
      for (int64_t j = 0; j < count; ++j) {
        sum += weights[r * kBlockKeys + j] * ReadNumber(values.type, values.Row(0, first + j, 0), i);
      }
      all_finite &= std::isfinite(sum);
    }
  }
  return all_finite;
}

}  // namespace topk
