// Panels of keys or queries as int8, and what that rounding can change.
//
// A scan in int8 costs a quarter of one in f32. It may be off, so it only rules out keys; those left are scored again.
// How many are left depends on how small the rounding errors are, and three transforms that leave every q.k as it is,
// up to a constant of the query, make them small:
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
// With x^ and y^ the int8 numbers times their scales, |x.y - x^.y^| <= |x - x^||y| + |x^||y - y^|. The norms here are
// those of the computed x, y and residuals, which have an error of u |x| or u |y| themselves. All of that is in
// kTransformUnits. E stays within 2^-10 and 2^10, so numbers lost to underflow, 2^-126 each, become a norm of at most
// 2^-102, which the 2^-57 that every norm here is rounded up by covers.
//
// Source: centring and rotation as in the quantisation literature (for example QuaRot, Ashkboos et al., 2024); the
// bound is this file's.
#ifndef TOPK_SRC_QUANTIZE_QUANTIZE_H_
#define TOPK_SRC_QUANTIZE_QUANTIZE_H_

#include <cstdint>

#include "topk/load/pack.h"

namespace topk {

// Dimensions whose int8 numbers stand together, as the dot products of four want them.
inline constexpr int64_t kGroup = 4;
constexpr int64_t GroupsOf(int64_t d) { return (d + kGroup - 1) / kGroup; }

// Bytes of an int8 panel of kBlockKeys vectors of d numbers: [GroupsOf(d)][kBlockKeys][kGroup].
constexpr int64_t QuantizedPanelBytes(int64_t d) { return GroupsOf(d) * kBlockKeys * kGroup; }

inline constexpr float kTransformUnits = 48.0F * 0x1p-24F;

// In place: panel[i][j] = H ((panel[i][j] - shift[i]) * factor[i]) * gain for an f32 panel [d][kBlockKeys] of
// load/pack.h. shift: d numbers or null; factor: d powers of two; gain: a power of two. 64-byte aligned.
void TransformPanel(float* panel, int64_t d, const float* shift, const float* factor, float gain);
void TransformPanelReference(float* panel, int64_t d, const float* shift, const float* factor, float gain);

// h: the largest power of two that divides d, at most 512.
int64_t HadamardSize(int64_t d);

// A block of keys in int8: one scale for all.
struct BlockFacts {
  float scale;  // y^ = scale * (byte - 128)
  float norm;   // at least the largest |y| of the block
  float error;  // at least the largest |y - y^|
};

// From a transformed panel to unsigned bytes, 128 + the int8 number. out: QuantizedPanelBytes(d).
BlockFacts QuantizeKeys(const float* panel, int64_t d, uint8_t* out);
BlockFacts QuantizeKeysReference(const float* panel, int64_t d, uint8_t* out);

// Queries in int8: a scale each; |.| as above. Arrays of kBlockKeys numbers.
struct QueryFacts {
  float* scale;
  float* norm;
  float* error;
  int32_t* sum;  // of the int8 numbers
};

// From a transformed panel to signed numbers, out[j * GroupsOf(d) * kGroup + i]; zeros from d on.
void QuantizeQueries(const float* panel, int64_t d, int8_t* out, const QueryFacts& facts);
void QuantizeQueriesReference(const float* panel, int64_t d, int8_t* out, const QueryFacts& facts);

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZE_QUANTIZE_H_
