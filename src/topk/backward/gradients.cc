#include "topk/backward/gradients.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/backward/gradients.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/cache_control.h>

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

// Vectors of each term's row that stay in registers while its keys pass by; each needs one more for the sum.
constexpr int kTermVectors = kHas32Registers ? 4 : 2;

void ScoreGradientsSimd(Activation activation, const float* HWY_RESTRICT weights, int64_t padded_count,
                        float* HWY_RESTRICT gradients) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  if (activation == Activation::kRelu) {
    for (int64_t j = 0; j < padded_count; j += n) {
      const auto passes = hn::Gt(hn::Load(df, weights + j), hn::Zero(df));
      hn::Store(hn::IfThenElseZero(passes, hn::Load(df, gradients + j)), df, gradients + j);
    }
    return;
  }
  VF sum = hn::Zero(df);
  for (int64_t j = 0; j < padded_count; j += n) {
    sum = hn::MulAdd(hn::Load(df, weights + j), hn::Load(df, gradients + j), sum);
  }
  const VF mean = hn::SumOfLanes(df, sum);
  for (int64_t j = 0; j < padded_count; j += n) {
    const VF g = hn::Load(df, gradients + j);
    hn::Store(hn::Mul(hn::Load(df, weights + j), hn::Sub(g, mean)), df, gradients + j);
  }
}

void SoftcapGradientsSimd(float cap, const float* HWY_RESTRICT capped, int64_t padded_count,
                          float* HWY_RESTRICT gradients) {
  const DF df;
  const VF inverse = hn::Set(df, 1.0F / cap);
  const VF one = hn::Set(df, 1.0F);
  for (int64_t j = 0; j < padded_count; j += static_cast<int64_t>(hn::Lanes(df))) {
    const VF tanh = hn::Mul(hn::Load(df, capped + j), inverse);
    const VF slope = hn::NegMulAdd(tanh, tanh, one);
    hn::Store(hn::Mul(hn::Load(df, gradients + j), slope), df, gradients + j);
  }
}

// What a range takes from a row lies far from what it takes from the next one, where no processor looks for it by
// itself: it is fetched so many rows ahead.
constexpr int64_t kRowsAhead = 4;

template <typename T>
HWY_INLINE void Fetch(const T* numbers, uint32_t count) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(numbers);
  const auto n_bytes = static_cast<int64_t>(count * sizeof(T));
  for (int64_t i = 0; i < n_bytes; i += static_cast<int64_t>(kCacheLineBytes)) hwy::Prefetch(bytes + i);
}

void DotEntriesSimd(const RangeEntries& entries, const PaddedRows& x, const PaddedRows& y, float* HWY_RESTRICT dots) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t d = x.d;
  const int64_t stride = entries.start_stride;
  for (int64_t r = 0; r < entries.n_rows; ++r) {
    if (r + kRowsAhead < entries.n_rows) {
      const uint32_t* ahead = entries.starts + (r + kRowsAhead) * stride;
      Fetch(entries.keys + entries.begins[r + kRowsAhead] + ahead[0], ahead[1] - ahead[0]);
    }
    const uint32_t begin = entries.starts[r * stride];
    const uint32_t end = entries.starts[r * stride + 1];
    const KeyIndex* HWY_RESTRICT keys = entries.keys + entries.begins[r];
    const float* HWY_RESTRICT row = x.Row(r);
    float* HWY_RESTRICT out = dots + entries.firsts[r];
    for (uint32_t e = begin; e < end; e += kSumsAtOnce) {
      const float* HWY_RESTRICT value[kSumsAtOnce];
      for (uint32_t m = 0; m < kSumsAtOnce; ++m) value[m] = y.Row(keys[std::min(e + m, end - 1)]);
      VF sum[kSumsAtOnce] = {hn::Zero(df), hn::Zero(df), hn::Zero(df), hn::Zero(df)};
      for (int64_t i = 0; i < d; i += n) {
        const VF part = hn::Load(df, row + i);
        for (int m = 0; m < kSumsAtOnce; ++m) sum[m] = hn::MulAdd(part, hn::Load(df, value[m] + i), sum[m]);
      }
      if (e + kSumsAtOnce <= end) {
        StoreSums(sum, out + e);
      } else {
        HWY_ALIGN float last[kSumsAtOnce];
        StoreSums(sum, last);
        std::copy_n(last, end - e, out + e);
      }
    }
  }
}

// Columns [first, first + kA or kB vectors) of both terms.
template <int kA, int kB>
HWY_INLINE void AddColumns(const RangeEntries& entries, const KeyTerms& a, const KeyTerms& b, int64_t first,
                           float* HWY_RESTRICT sums) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t stride = a.x.d + b.x.d;
  for (int64_t r = 0; r < entries.n_rows; ++r) {
    if (r + kRowsAhead < entries.n_rows) {
      const uint32_t* ahead = entries.starts + (r + kRowsAhead) * entries.start_stride;
      const uint32_t count = ahead[1] - ahead[0];
      Fetch(entries.keys + entries.begins[r + kRowsAhead] + ahead[0], count);
      if (kA > 0) Fetch(a.factors + a.begins[r + kRowsAhead] + ahead[0], count);
      if (kB > 0) Fetch(b.factors + b.begins[r + kRowsAhead] + ahead[0], count);
    }
    const uint32_t begin = entries.starts[r * entries.start_stride];
    const uint32_t end = entries.starts[r * entries.start_stride + 1];
    if (begin == end) continue;
    const KeyIndex* HWY_RESTRICT keys = entries.keys + entries.begins[r];
    const float* HWY_RESTRICT factors_a = kA > 0 ? a.factors + a.begins[r] : nullptr;
    const float* HWY_RESTRICT factors_b = kB > 0 ? b.factors + b.begins[r] : nullptr;
    VF row_a[kA + 1];  // no array is empty
    VF row_b[kB + 1];
    for (int v = 0; v < kA; ++v) row_a[v] = hn::Load(df, a.x.Row(r) + first + v * n);
    for (int v = 0; v < kB; ++v) row_b[v] = hn::Load(df, b.x.Row(r) + first + v * n);
    for (uint32_t e = begin; e < end; ++e) {
      float* HWY_RESTRICT sum_a = sums + (keys[e] - entries.first_key) * stride + first;
      float* HWY_RESTRICT sum_b = sum_a + a.x.d;
      if constexpr (kA > 0) {
        const VF factor = hn::Set(df, factors_a[e]);
        for (int v = 0; v < kA; ++v) {
          hn::Store(hn::MulAdd(factor, row_a[v], hn::Load(df, sum_a + v * n)), df, sum_a + v * n);
        }
      }
      if constexpr (kB > 0) {
        const VF factor = hn::Set(df, factors_b[e]);
        for (int v = 0; v < kB; ++v) {
          hn::Store(hn::MulAdd(factor, row_b[v], hn::Load(df, sum_b + v * n)), df, sum_b + v * n);
        }
      }
    }
  }
}

void AddToKeysSimd(const RangeEntries& entries, const KeyTerms& a, const KeyTerms& b, float* sums) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  const int64_t most = kTermVectors * n;
  const int64_t both = std::min(a.x.d, b.x.d);
  int64_t i = 0;
  for (; i + most <= both; i += most) AddColumns<kTermVectors, kTermVectors>(entries, a, b, i, sums);
  for (; i < both; i += n) AddColumns<1, 1>(entries, a, b, i, sums);
  for (; i + most <= a.x.d; i += most) AddColumns<kTermVectors, 0>(entries, a, b, i, sums);
  for (; i < a.x.d; i += n) AddColumns<1, 0>(entries, a, b, i, sums);
  for (; i + most <= b.x.d; i += most) AddColumns<0, kTermVectors>(entries, a, b, i, sums);
  for (; i < b.x.d; i += n) AddColumns<0, 1>(entries, a, b, i, sums);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(ScoreGradientsSimd);
HWY_EXPORT(SoftcapGradientsSimd);
HWY_EXPORT(DotEntriesSimd);
HWY_EXPORT(AddToKeysSimd);

void ScoreGradients(Activation activation, const float* weights, int64_t padded_count, float* gradients) {
  HWY_DYNAMIC_DISPATCH(ScoreGradientsSimd)(activation, weights, padded_count, gradients);
}

void SoftcapGradients(float cap, const float* capped, int64_t padded_count, float* gradients) {
  HWY_DYNAMIC_DISPATCH(SoftcapGradientsSimd)(cap, capped, padded_count, gradients);
}

void DotEntries(const RangeEntries& entries, const PaddedRows& x, const PaddedRows& y, float* dots) {
  HWY_DYNAMIC_DISPATCH(DotEntriesSimd)(entries, x, y, dots);
}

void AddToKeys(const RangeEntries& entries, const KeyTerms& a, const KeyTerms& b, float* sums) {
  HWY_DYNAMIC_DISPATCH(AddToKeysSimd)(entries, a, b, sums);
}

}  // namespace topk
#endif  // HWY_ONCE
