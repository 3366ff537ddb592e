#include "topk/scan/scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/scan/scan.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"
#include "topk/registers-inl.h"
#include "topk/scan/scan_error.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using VF = hn::Vec<DF>;

// Rows and vectors of the register tile: 6 x 4 accumulators, 4 vectors of B and one of A fill 32 registers; 6 x 2
// leave 16-register targets three for operands.
constexpr int kTileRows = 6;
constexpr int kTileVectors = kHas32Registers ? 4 : 2;

// One register tile: kRows rows of A times kVectors vectors of B's columns.
template <int kRows, int kVectors>
HWY_INLINE void MultiplyRegisters(const float* HWY_RESTRICT a, int64_t a_stride, const float* HWY_RESTRICT b,
                                  int64_t b_stride, float* HWY_RESTRICT c, int64_t c_stride, int64_t depth,
                                  bool accumulate) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  VF sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sum[r][v] = accumulate ? hn::Load(df, c + r * c_stride + v * n) : hn::Zero(df);
  }
  for (int64_t i = 0; i < depth; ++i) {
    VF column[kVectors];
    for (int v = 0; v < kVectors; ++v) column[v] = hn::Load(df, b + i * b_stride + v * n);
    for (int r = 0; r < kRows; ++r) {
      const VF x = hn::Set(df, a[r * a_stride + i]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(x, column[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) hn::Store(sum[r][v], df, c + r * c_stride + v * n);
  }
}

// All columns for kRows rows.
template <int kRows>
void MultiplyRows(const float* HWY_RESTRICT a, int64_t a_stride, const float* HWY_RESTRICT b, int64_t b_stride,
                  float* HWY_RESTRICT c, int64_t c_stride, int64_t n_columns, int64_t depth, bool accumulate) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t column = 0;
  for (; column + kTileVectors * n <= n_columns; column += kTileVectors * n) {
    MultiplyRegisters<kRows, kTileVectors>(a, a_stride, b + column, b_stride, c + column, c_stride, depth, accumulate);
  }
  for (; column < n_columns; column += n) {
    MultiplyRegisters<kRows, 1>(a, a_stride, b + column, b_stride, c + column, c_stride, depth, accumulate);
  }
}

// The last rows, fewer than a register tile.
template <int kRows>
HWY_INLINE void MultiplyLastRows(int64_t n_rows, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                                 float* c, int64_t c_stride, int64_t n_columns, int64_t depth, bool accumulate) {
  if (n_rows == kRows) return MultiplyRows<kRows>(a, a_stride, b, b_stride, c, c_stride, n_columns, depth, accumulate);
  if constexpr (kRows > 1) {
    MultiplyLastRows<kRows - 1>(n_rows, a, a_stride, b, b_stride, c, c_stride, n_columns, depth, accumulate);
  }
}

void MultiplyTileSimd(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                      int64_t n_rows, int64_t n_columns, int64_t depth, bool accumulate) {
  for (; n_rows >= kTileRows; n_rows -= kTileRows) {
    MultiplyRows<kTileRows>(a, a_stride, b, b_stride, c, c_stride, n_columns, depth, accumulate);
    a += kTileRows * a_stride;
    c += kTileRows * c_stride;
  }
  MultiplyLastRows<kTileRows - 1>(n_rows, a, a_stride, b, b_stride, c, c_stride, n_columns, depth, accumulate);
}

void SoftcapSimd(float cap, float* HWY_RESTRICT scores) {
  const DF df;
  const VF c = hn::Set(df, cap);
  const VF inverse = hn::Set(df, 1.0F / cap);
  for (int64_t j = 0; j < kBlockKeys; j += hn::Lanes(df)) {
    hn::Store(hn::Mul(c, hn::Tanh(df, hn::Mul(hn::Load(df, scores + j), inverse))), df, scores + j);
  }
}

void AddMaskSimd(DataType type, const uint8_t* HWY_RESTRICT mask, float slope, int64_t count,
                 float* HWY_RESTRICT scores) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const VF m = hn::Set(df, slope);
  const auto add = [&](auto kind) HWY_ATTR {
    for (int64_t j = 0; j < count; j += n) {
      const VF bias = j + n <= count ? RowLoader<kind>::Load(df, mask, j) : LoadTail<kind>(df, mask, j, count - j);
      hn::Store(hn::Add(hn::Load(df, scores + j), hn::Mul(m, bias)), df, scores + j);
    }
  };
  if (type == DataType::kF16) return add(std::integral_constant<DataType, DataType::kF16>());
  add(std::integral_constant<DataType, DataType::kF32>());
}

float ScanErrorSimd(const float* HWY_RESTRICT q, const int32_t* HWY_RESTRICT magnitude, int64_t d, float softcap,
                    ScanProducts kind) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  VF products = hn::Zero(df);
  VF magnitudes = hn::Zero(df);
  for (int64_t i = 0; i < d; i += n) {  // q and magnitude are zero from d up to the padding
    const VF m = hn::BitCast(df, hn::Load(hn::RebindToSigned<DF>(), magnitude + i));
    products = hn::MulAdd(hn::Abs(hn::Load(df, q + i)), m, products);
    magnitudes = hn::Add(magnitudes, m);
  }
  return ScanErrorOfSums(hn::GetLane(hn::SumOfLanes(df, products)), hn::GetLane(hn::SumOfLanes(df, magnitudes)), d,
                         softcap, kind);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(MultiplyTileSimd);
HWY_EXPORT(SoftcapSimd);
HWY_EXPORT(AddMaskSimd);
HWY_EXPORT(ScanErrorSimd);

void MultiplyTile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                  int64_t n_rows, int64_t n_columns, int64_t depth, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(MultiplyTileSimd)(a, a_stride, b, b_stride, c, c_stride, n_rows, n_columns, depth, accumulate);
}

void Softcap(float cap, float* scores) { HWY_DYNAMIC_DISPATCH(SoftcapSimd)(cap, scores); }

void AddMask(DataType type, const uint8_t* mask, float slope, int64_t count, float* scores) {
  HWY_DYNAMIC_DISPATCH(AddMaskSimd)(type, mask, slope, count, scores);
}

float ScanError(const float* q, const int32_t* magnitude, int64_t d, float softcap, ScanProducts kind) {
  return HWY_DYNAMIC_DISPATCH(ScanErrorSimd)(q, magnitude, d, softcap, kind);
}

}  // namespace topk
#endif  // HWY_ONCE
