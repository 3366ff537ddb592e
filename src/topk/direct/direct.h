// The two products of attention for few rows, straight from the keys and values as they stand: each number is converted
// once, in a register. More rows want panels (load/pack.h), whose packing they share.
#ifndef TOPK_SRC_DIRECT_DIRECT_H_
#define TOPK_SRC_DIRECT_DIRECT_H_

#include <cstdint>

#include "topk/tensor.h"

namespace topk {

// Up to so many rows they are faster than panels: 1.2 to 3 times with AVX-512. From five rows on panels catch up.
inline constexpr int64_t kMostDirectRows = 4;

// scores[r * scores_stride + j] = queries[r * PadToLanes(d), + d) . (key first + j) for r < n_rows and j < count,
// within ScanError of scan/scan.h; 0 for count <= j < kBlockKeys. magnitude and the result: those of PackKeys
// (load/pack.h). queries: zeros from d up to the padding, 64-byte aligned, as magnitude is.
// `keys`: the view of one batch and KV head. No allocation; any thread.
bool ScoreDirectly(const float* queries, int64_t n_rows, const TensorView& keys, int64_t first, int64_t count,
                   int64_t d, float* scores, int64_t scores_stride, int32_t* magnitude);
bool ScoreDirectlyReference(const float* queries, int64_t n_rows, const TensorView& keys, int64_t first, int64_t count,
                            int64_t d, float* scores, int64_t scores_stride, int32_t* magnitude);

// sums[r * PadToLanes(d) + i] += sum_j weights[r * kBlockKeys + j] * (number i of value first + j) for r < n_rows, i <
// d and j < count <= kBlockKeys. Returns whether all these sums are finite: they are not if a value of any weight is
// not, 0 included. sums: 64-byte aligned. Same conditions.
bool AddDirectly(const float* weights, int64_t n_rows, const TensorView& values, int64_t first, int64_t count,
                 int64_t d, float* sums);
bool AddDirectlyReference(const float* weights, int64_t n_rows, const TensorView& values, int64_t first, int64_t count,
                          int64_t d, float* sums);

}  // namespace topk

#endif  // TOPK_SRC_DIRECT_DIRECT_H_
