// Panels of keys or queries as int8 or int16, and what that rounding can change.
//
// A scan in int8 costs a quarter of one in f32, one in int16 a half. They may be off, so they only rule out keys; those
// left are scored again. How many are left depends on how small the rounding errors are, and three transforms that
// leave every q.k as it is, up to a constant of the query, make them small:
//
//   q.k = q.mu + x.y,   y = H E (k - mu),   x = (1/h) H (1/E) q
//
// mu: about the mean key; E: a power of two for each dimension, about sqrt(deviation of q / deviation of k); H: blocks
// of Hadamard matrices of the size h, the largest power of two that divides d, which spread outliers over h dimensions.
// Scaling by powers of two is exact. Subtracting mu and each of the log2(h) <= 9 stages of H, orthogonal but for a
// power of two, round once: relative error u of the 2-norm each, so that with the computed x and y
//
//   |q.k - q.mu - x.y| <= 2 * 11u |x||y|                                          u = 2^-24, |.|: 2-norms
//
// With x^ and y^ the integers times their scales, |x.y - x^.y^| <= |x - x^||y| + |x^||y - y^|. The norms here are
// those of the computed x, y and residuals, which have an error of u |x| or u |y| themselves. All of that is in
// kTransformUnits. E stays within 2^-10 and 2^10, so numbers lost to underflow, 2^-126 each, become a norm of at most
// 2^-102, which the 2^-57 that every norm here is rounded up by covers.
//
// Dot products of the integers fit into int32: int8 numbers are at most 127, so that 1024 products stay below 2^24.
// Vectors of int16 numbers have norms below 2^15, so that by Cauchy and Schwarz no dot product, nor a part of one,
// exceeds 2^30. That leaves each number all the bits that its vector's norm allows: some 100 times the resolution of
// int8 at d = 64.
//
// Source: centring and rotation as in the quantisation literature (for example QuaRot, Ashkboos et al., 2024); the
// bound is this file's.
#ifndef TOPK_SRC_QUANTIZE_QUANTIZE_H_
#define TOPK_SRC_QUANTIZE_QUANTIZE_H_

#include <cstdint>

#include "topk/load/pack.h"
#include "topk/quantize/number_width.h"

namespace topk {

// Bytes of a panel of kBlockKeys vectors of d integers: [GroupsOf(d, width)][kBlockKeys][integers of a group].
constexpr int64_t QuantizedPanelBytes(int64_t d, NumberWidth width = NumberWidth::kInt8) {
  return QuantizedBytes(d, width) * kBlockKeys;
}

// What sets a scale, the extent of vectors: in int8 their largest number, in int16 their largest sum of squares.
template <class Numbers>
inline constexpr bool kScalesByNorm = Numbers::kWidth == NumberWidth::kInt16;

// The norm of f32 vectors that their int16 scale takes to this. Rounding adds sqrt(1024) / 2 = 16 at most, which leaves
// every number and the norm below 2^15.
inline constexpr float kLargestNorm = 32750.0F;

inline constexpr float kTransformUnits = 48.0F * 0x1p-24F;

// In place: panel[i][j] = H ((panel[i][j] - shift[i]) * factor[i]) * gain for an f32 panel [d][kBlockKeys] of
// load/pack.h. shift: d numbers or null; factor: d powers of two; gain: a power of two. 64-byte aligned.
void TransformPanel(float* panel, int64_t d, const float* shift, const float* factor, float gain);
void TransformPanelReference(float* panel, int64_t d, const float* shift, const float* factor, float gain);

// h: the largest power of two that divides d, at most 512.
int64_t HadamardSize(int64_t d);

// A block of keys in integers: one scale for all.
struct BlockFacts {
  float scale;  // y^ = scale * integer
  float norm;   // at least the largest |y| of the block; infinite or NaN if a number is
  float error;  // at least the largest |y - y^|; infinite or NaN if a number is
};

// From a transformed panel to integers: in int16, or in int8 as unsigned bytes, 128 + the number. out:
// QuantizedPanelBytes(d, width), 64-byte aligned.
BlockFacts QuantizeKeys(NumberWidth width, const float* panel, int64_t d, uint8_t* out);
BlockFacts QuantizeKeysReference(NumberWidth width, const float* panel, int64_t d, uint8_t* out);

// Queries in integers: a scale each; |.| as above. Arrays of kBlockKeys numbers.
struct QueryFacts {
  float* scale;
  float* norm;
  float* error;
  int32_t* sum;  // of the integers
};

// The largest number of queries in int8 that the scan multiplies right on the SIMD target in use.
int32_t LargestQueryInt8();

// From a transformed panel to signed integers, those of query j from out + j * QuantizedBytes(d, width) on; zeros from
// d on.
void QuantizeQueries(NumberWidth width, const float* panel, int64_t d, uint8_t* out, const QueryFacts& facts);
void QuantizeQueriesReference(NumberWidth width, const float* panel, int64_t d, uint8_t* out, const QueryFacts& facts);

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZE_QUANTIZE_H_
