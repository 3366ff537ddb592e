#include "topk/backward/gradients.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/backward/gradients.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"
#include "topk/registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using VF = hn::Vec<DF>;

// Vectors of a row that stay in registers while its keys pass by; each needs one more for the sum.
constexpr int kRowVectors = kHas32Registers ? 8 : 4;

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

// Columns [first, first + kVectors * Lanes) of all keys.
template <int kVectors>
HWY_INLINE void AddColumns(std::span<const KeyIndex> keys, const float* HWY_RESTRICT factors,
                           const float* HWY_RESTRICT x, const KeySums& sums, int64_t first) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  VF row[kVectors];
  for (int v = 0; v < kVectors; ++v) row[v] = hn::LoadU(df, x + first + v * n);
  for (size_t j = 0; j < keys.size(); ++j) {
    float* HWY_RESTRICT sum = sums.sums + (keys[j] - sums.first_key) * sums.stride + first;
    const VF factor = hn::Set(df, factors[j]);
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(hn::MulAdd(factor, row[v], hn::Load(df, sum + v * n)), df, sum + v * n);
    }
  }
}

void AddToKeysSimd(std::span<const KeyIndex> keys, const float* factors, const float* x, int64_t d,
                   const KeySums& sums) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + kRowVectors * n <= d; i += kRowVectors * n) AddColumns<kRowVectors>(keys, factors, x, sums, i);
  for (; i + kRowVectors / 2 * n <= d; i += kRowVectors / 2 * n) {
    AddColumns<kRowVectors / 2>(keys, factors, x, sums, i);
  }
  for (; i + n <= d; i += n) AddColumns<1>(keys, factors, x, sums, i);
  if (i == d) return;
  // The last columns, fewer than a vector.
  HWY_ALIGN float tail[kMaxLanes];
  const DF df;
  hn::Store(LoadTail<DataType::kF32>(df, reinterpret_cast<const uint8_t*>(x), i, d - i), df, tail);
  KeySums last = sums;
  last.sums += i;
  AddColumns<1>(keys, factors, tail, last, 0);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(ScoreGradientsSimd);
HWY_EXPORT(SoftcapGradientsSimd);
HWY_EXPORT(AddToKeysSimd);

void ScoreGradients(Activation activation, const float* weights, int64_t padded_count, float* gradients) {
  HWY_DYNAMIC_DISPATCH(ScoreGradientsSimd)(activation, weights, padded_count, gradients);
}

void SoftcapGradients(float cap, const float* capped, int64_t padded_count, float* gradients) {
  HWY_DYNAMIC_DISPATCH(SoftcapGradientsSimd)(cap, capped, padded_count, gradients);
}

void AddToKeys(std::span<const KeyIndex> keys, const float* factors, const float* x, int64_t d, const KeySums& sums) {
  HWY_DYNAMIC_DISPATCH(AddToKeysSimd)(keys, factors, x, d, sums);
}

}  // namespace topk
#endif  // HWY_ONCE
