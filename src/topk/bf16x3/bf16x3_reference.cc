#include <algorithm>

#include "topk/bf16x3/bf16x3.h"
#include "topk/direct/direct.h"

namespace topk {

// The same scores as direct/direct.h's, so the same loops.
Bf16x3Result ScoreBf16x3Reference(const float* queries, int64_t n_rows, const KeyBlock& block, int64_t d,
                                  const float* reach, float* scores, int64_t stride, int32_t* magnitude) {
  const bool grew =
      ScoreDirectlyReference(queries, n_rows, block.keys, block.first, block.count, d, scores, stride, magnitude);
  Bf16x3Result result{.magnitude = grew ? MagnitudeChange::kGrew : MagnitudeChange::kNone};
  for (int64_t r = 0; r < n_rows; ++r) {
    const float* row = scores + r * stride;
    const bool competes = std::any_of(row, row + block.count, [&](float score) { return !(score < reach[r]); });
    result.competing |= static_cast<uint32_t>(competes) << r;
  }
  return result;
}

}  // namespace topk
