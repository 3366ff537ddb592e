// Squares of 32-bit numbers transposed in registers. Included once per SIMD target by the kernels that turn rows of
// keys into panels.
#if defined(TOPK_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_TRANSPOSE_INL_H_
#undef TOPK_TRANSPOSE_INL_H_
#else
#define TOPK_TRANSPOSE_INL_H_
#endif

#include <hwy/highway.h>

#include "topk/load/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Half an AVX-512 vector: transposing whole ones takes 1.3 times as long on Zen 4.
using DSquare = hn::CappedTag<float, 8>;
using VSquare = hn::Vec<DSquare>;
constexpr int64_t kSquareLanes = hn::MaxLanes(DSquare());  // no target here has vectors of unknown length

// Four vectors transposed within their 128-bit blocks: out[m] has number m of every block of a, b, c and d.
HWY_INLINE void TransposeWithinBlocks(VSquare a, VSquare b, VSquare c, VSquare d, VSquare* HWY_RESTRICT out) {
  const DSquare df;
  const VSquare ab_low = hn::InterleaveLower(df, a, b);  // a0 b0 a1 b1 of each block
  const VSquare ab_high = hn::InterleaveUpper(df, a, b);
  const VSquare cd_low = hn::InterleaveLower(df, c, d);
  const VSquare cd_high = hn::InterleaveUpper(df, c, d);
  out[0] = InterleaveLowerPairs(ab_low, cd_low);
  out[1] = InterleaveUpperPairs(ab_low, cd_low);
  out[2] = InterleaveLowerPairs(ab_high, cd_high);
  out[3] = InterleaveUpperPairs(ab_high, cd_high);
}

// kSquareLanes rows of as many numbers, transposed.
HWY_INLINE void TransposeSquare(VSquare* HWY_RESTRICT rows) {
  const DSquare df;
  constexpr int64_t kBlocks = kSquareLanes / 4;
  VSquare parts[kBlocks][4];  // parts[g][m]: block b has number 4 b + m of rows 4 g to 4 g + 3
  for (int64_t g = 0; g < kBlocks; ++g) {
    TransposeWithinBlocks(rows[4 * g], rows[4 * g + 1], rows[4 * g + 2], rows[4 * g + 3], parts[g]);
  }
  for (int m = 0; m < 4; ++m) {
    if constexpr (kBlocks == 1) {
      rows[m] = parts[0][m];
    } else {
      rows[m] = hn::ConcatLowerLower(df, parts[1][m], parts[0][m]);
      rows[4 + m] = hn::ConcatUpperUpper(df, parts[1][m], parts[0][m]);
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#endif  // TOPK_TRANSPOSE_INL_H_
