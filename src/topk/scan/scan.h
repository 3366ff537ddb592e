// The scan: scores of a tile of query rows against a block of keys, and the bound on their error.
//
//   s~[r, j] = softcap(q'_r . k_j) + slope_r * mask[r, j]        q' = q * scale / temperature, rounded to f32
//
// in f32, in whatever order and with whatever fused operations the SIMD target likes. With u = 2^-24 and the canonical
// score s in f64 (canonical/canonical.h),
//
//   |s~ - s| <= e_r + 2u |s~|,    e_r = ScanError(q'_r, max_j |k_j|)
//
// which is what lets the selection be exact: see select/select.h.
#ifndef TOPK_SRC_SCAN_SCAN_H_
#define TOPK_SRC_SCAN_SCAN_H_

#include <cstdint>

#include "topk/tensor.h"

namespace topk {

// C[r, c] (+)= sum_i A[r, i] * B[i, c] for r < n_rows, c < n_columns, i < depth; row-major with the given strides
// (numbers). n_columns and the strides of B and C are multiples of kMaxLanes, B and C 64-byte aligned. This one product
// serves both halves of attention: queries times packed keys, and weights times packed values.
void MultiplyTile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                  int64_t n_rows, int64_t n_columns, int64_t depth, bool accumulate);
void MultiplyTileReference(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c,
                           int64_t c_stride, int64_t n_rows, int64_t n_columns, int64_t depth, bool accumulate);

// scores[j] = cap * tanh(scores[j] / cap) for j < kBlockKeys, within kSoftcapUlps * u * cap.
inline constexpr float kSoftcapUlps = 16.0F;
void Softcap(float cap, float* scores);
void SoftcapReference(float cap, float* scores);

// scores[j] += slope * mask[j] for j < count <= kBlockKeys, one rounding each for product and sum; -inf hides.
// `mask`: f16 or f32 numbers.
void AddMask(DataType type, const uint8_t* mask, float slope, int64_t count, float* scores);
void AddMaskReference(DataType type, const uint8_t* mask, float slope, int64_t count, float* scores);

// e_r: q' (d f32) against keys whose numbers are at most `magnitude` (bits of f32, as PackKeys leaves them). Infinite
// or NaN if the keys or q' are, or if a score could overflow: the row must then be scored canonically.
//
// Where it comes from: q' has two roundings (the scale, the product), a sum of d products in any order at most d, fused
// or not, each relative u of sum_i |q'_i| |k_i| <= sum_i |q'_i| magnitude_i: together gamma_(d+4); of products of
// bf16 parts (scan_split.h, bf16x3/bf16x3.h) another bound holds, and the larger one is taken; the canonical sum's own
// error is below one more u. Softcap has slope at most 1 and adds its own error. slope * mask rounds to u |bias| <=
// u (|s~| + |q'.k| (1 + u)). Flushed subnormals cost up to 2^-126 an operand, and
// those of the parts are covered if no magnitude is below kLeastSplitMagnitude.
inline constexpr float kLeastSplitMagnitude = 0x1p-60F;
float ScanError(const float* q, const int32_t* magnitude, int64_t d, float softcap);
float ScanErrorReference(const float* q, const int32_t* magnitude, int64_t d, float softcap);

// Whether scores with this error (which may be NaN) are of no use: their exponentials would be wrong by factors. Takes
// scores of a million, which no trained model has; such rows are scored canonically.
inline bool IsTooCoarse(float error) { return !(error < 4.0F); }

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCAN_H_
