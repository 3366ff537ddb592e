#include "topk/direct/direct.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/direct/direct.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"
#include "topk/load/sums-inl.h"
#include "topk/registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using VF = hn::Vec<DF>;
using DI = hn::RebindToSigned<DF>;
using VI = hn::Vec<DI>;

// Accumulators that the registers hold beside their operands.
constexpr int kAccumulators = kHas32Registers ? 16 : 8;

// Rows of one head are strided, which hardware prefetchers follow badly: fetch them ahead.
constexpr int64_t kRowsAhead = 32;

// Adds the products of one vector of kSumsAtOnce keys, `load(row, i)`, with kRows queries, and takes the largest
// numbers of each dimension.
template <int kRows, class Load>
HWY_INLINE void AddProducts(const float* HWY_RESTRICT queries, int64_t stride, int64_t i, const uint8_t* const* row,
                            int32_t* HWY_RESTRICT magnitude, VI& grew, VF (&sum)[kRows][kSumsAtOnce], Load&& load) {
  const DF df;
  const DI di;
  const VI before = hn::Load(di, magnitude + i);
  VI largest = before;
  VF x[kRows];
  for (int r = 0; r < kRows; ++r) x[r] = hn::Load(df, queries + r * stride + i);
  for (int m = 0; m < kSumsAtOnce; ++m) {
    const VF numbers = load(row[m], i);
    largest = hn::Max(largest, hn::BitCast(di, hn::Abs(numbers)));
    for (int r = 0; r < kRows; ++r) sum[r][m] = hn::MulAdd(x[r], numbers, sum[r][m]);
  }
  grew = hn::Or(grew, hn::VecFromMask(di, hn::Gt(largest, before)));
  hn::Store(largest, di, magnitude + i);
}

template <DataType kType, int kRows>
bool ScoreRows(const float* HWY_RESTRICT queries, const TensorView& keys, int64_t first, int64_t count, int64_t d,
               float* HWY_RESTRICT scores, int64_t scores_stride, int32_t* HWY_RESTRICT magnitude) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t stride = PadToLanes(d);
  const int64_t whole = d / n * n;
  VI grew = hn::Zero(DI());
  for (int64_t j = 0; j < count; j += kSumsAtOnce) {
    const uint8_t* row[kSumsAtOnce];
    VF sum[kRows][kSumsAtOnce];
    for (int m = 0; m < kSumsAtOnce; ++m) {
      row[m] = keys.Row(0, first + std::min(j + m, count - 1), 0);  // past the end the last key stands in
      PrefetchBytes<2>(keys.Row(0, first + j + m + kRowsAhead, 0), RowBytes(kType, d));
      for (int r = 0; r < kRows; ++r) sum[r][m] = hn::Zero(df);
    }
    for (int64_t i = 0; i < whole; i += n) {
      AddProducts(queries, stride, i, row, magnitude, grew, sum,
                  [&](const uint8_t* from, int64_t at) HWY_ATTR { return RowLoader<kType>::Load(df, from, at); });
    }
    if (whole < d) {
      AddProducts(queries, stride, whole, row, magnitude, grew, sum,
                  [&](const uint8_t* from, int64_t at) HWY_ATTR { return LoadTail<kType>(df, from, at, d - at); });
    }
    for (int r = 0; r < kRows; ++r) StoreSums(sum[r], scores + r * scores_stride + j);
  }
  for (int r = 0; r < kRows; ++r) {
    std::fill(scores + r * scores_stride + count, scores + r * scores_stride + kBlockKeys, 0.0F);  // and the stand-ins
  }
  return !hn::AllFalse(DI(), hn::MaskFromVec(grew));
}

// Columns [i, i + kVectors * Lanes) of kRows sums.
template <int kRows, int kVectors, class Load>
HWY_INLINE void AddColumns(const float* HWY_RESTRICT weights, const TensorView& values, int64_t first, int64_t count,
                           int64_t i, int64_t row_bytes, int64_t stride, float* HWY_RESTRICT sums, VF& spoilt,
                           Load&& load) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  VF sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Load(df, sums + r * stride + i + v * n);
  }
  for (int64_t j = 0; j < count; ++j) {
    const uint8_t* row = values.Row(0, first + j, 0);
    if (i == 0) PrefetchBytes<2>(values.Row(0, first + j + kRowsAhead, 0), row_bytes);  // all of it in the first pass
    VF weight[kRows];
    for (int r = 0; r < kRows; ++r) weight[r] = hn::Set(df, weights[r * kBlockKeys + j]);
    for (int v = 0; v < kVectors; ++v) {
      const VF x = load(row, i + v * n);
      for (int r = 0; r < kRows; ++r) sum[r][v] = hn::MulAdd(weight[r], x, sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      spoilt = hn::MulAdd(sum[r][v], hn::Zero(df), spoilt);  // x * 0: NaN where x is not finite
      hn::Store(sum[r][v], df, sums + r * stride + i + v * n);
    }
  }
}

template <DataType kType, int kRows>
bool AddRows(const float* HWY_RESTRICT weights, const TensorView& values, int64_t first, int64_t count, int64_t d,
             float* HWY_RESTRICT sums) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t stride = PadToLanes(d);
  constexpr int kVectors = std::min(kAccumulators / kRows, 4);
  VF spoilt = hn::Zero(df);
  int64_t i = 0;
  for (; i + kVectors * n <= d; i += kVectors * n) {
    AddColumns<kRows, kVectors>(weights, values, first, count, i, RowBytes(kType, d), stride, sums, spoilt,
                                [&](const uint8_t* row, int64_t at)
                                    HWY_ATTR { return RowLoader<kType>::Load(df, row, at); });
  }
  for (; i < d; i += n) {
    AddColumns<kRows, 1>(weights, values, first, count, i, RowBytes(kType, d), stride, sums, spoilt,
                         [&](const uint8_t* row, int64_t at) HWY_ATTR {
                           return at + n <= d ? RowLoader<kType>::Load(df, row, at)
                                              : LoadTail<kType>(df, row, at, d - at);
                         });
  }
  return hn::AllTrue(df, hn::Eq(spoilt, hn::Zero(df)));
}

// Calls fn(row, rows) for groups of rows that share each load, `rows` of them (a compile-time constant) from row on.
template <class Fn>
HWY_INLINE void ForRowGroups(int64_t n_rows, Fn&& fn) {
  int64_t row = 0;
  for (; row + 4 <= n_rows; row += 4) fn(row, std::integral_constant<int, 4>());
  for (; row + 2 <= n_rows; row += 2) fn(row, std::integral_constant<int, 2>());
  if (row < n_rows) fn(row, std::integral_constant<int, 1>());
}

bool ScoreDirectlySimd(const float* queries, int64_t n_rows, const TensorView& keys, int64_t first, int64_t count,
                       int64_t d, float* scores, int64_t scores_stride, int32_t* magnitude) {
  bool grew = false;
  WithType(keys.type, [&](auto type) {
    ForRowGroups(n_rows, [&](int64_t row, auto rows) {
      grew |= ScoreRows<type, rows>(queries + row * PadToLanes(d), keys, first, count, d, scores + row * scores_stride,
                                    scores_stride, magnitude);
    });
  });
  return grew;
}

bool AddDirectlySimd(const float* weights, int64_t n_rows, const TensorView& values, int64_t first, int64_t count,
                     int64_t d, float* sums) {
  bool all_finite = true;
  WithType(values.type, [&](auto type) {
    ForRowGroups(n_rows, [&](int64_t row, auto rows) {
      all_finite &=
          AddRows<type, rows>(weights + row * kBlockKeys, values, first, count, d, sums + row * PadToLanes(d));
    });
  });
  return all_finite;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(ScoreDirectlySimd);
HWY_EXPORT(AddDirectlySimd);

bool ScoreDirectly(const float* queries, int64_t n_rows, const TensorView& keys, int64_t first, int64_t count,
                   int64_t d, float* scores, int64_t scores_stride, int32_t* magnitude) {
  return HWY_DYNAMIC_DISPATCH(ScoreDirectlySimd)(queries, n_rows, keys, first, count, d, scores, scores_stride,
                                                 magnitude);
}

bool AddDirectly(const float* weights, int64_t n_rows, const TensorView& values, int64_t first, int64_t count,
                 int64_t d, float* sums) {
  return HWY_DYNAMIC_DISPATCH(AddDirectlySimd)(weights, n_rows, values, first, count, d, sums);
}

}  // namespace topk
#endif  // HWY_ONCE
