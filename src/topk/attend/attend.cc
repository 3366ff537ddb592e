#include "topk/attend/attend.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/attend/attend.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"
#include "topk/registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using VF = hn::Vec<DF>;

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Accumulators of a weighted sum: what the registers hold beside the loads.
constexpr int kSumVectors = kHas32Registers ? 8 : 4;

// V rows are read at random: fetch a row this many keys ahead of its use.
constexpr size_t kPrefetchKeys = 8;

HWY_INLINE float LargestOf(const float* HWY_RESTRICT scores, int64_t count) {
  const DF df;
  VF largest = hn::Set(df, kHidden);
  for (int64_t j = 0; j < count; j += hn::Lanes(df)) largest = hn::Max(largest, hn::Load(df, scores + j));
  return hn::GetLane(hn::MaxOfLanes(df, largest));
}

void AddToExpSumSimd(const float* HWY_RESTRICT scores, ExpSum& total) {
  const DF df;
  const float largest = LargestOf(scores, kBlockKeys);
  if (largest == kHidden) return;
  const VF top = hn::Set(df, largest);
  VF sum = hn::Zero(df);
  for (int64_t j = 0; j < kBlockKeys; j += hn::Lanes(df)) {
    sum = hn::Add(sum, hn::Exp(df, hn::Sub(hn::Load(df, scores + j), top)));
  }
  total.Merge({largest, hn::GetLane(hn::SumOfLanes(df, sum))});
}

ExpSum SoftmaxSimd(float* HWY_RESTRICT scores, int64_t count, float sink_logit) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  hn::StoreU(hn::Set(df, kHidden), df, scores + count);  // adds nothing to the sum
  const float largest = std::max(sink_logit, LargestOf(scores, count));
  const VF top = hn::Set(df, largest);
  VF sum = hn::Zero(df);
  for (int64_t j = 0; j < count; j += n) {
    const VF e = hn::Exp(df, hn::Sub(hn::Load(df, scores + j), top));
    hn::Store(e, df, scores + j);
    sum = hn::Add(sum, e);
  }
  const ExpSum total{largest, hn::GetLane(hn::SumOfLanes(df, sum))};
  const float denominator = total.sum + (sink_logit == kHidden ? 0.0F : std::exp(sink_logit - largest));
  const VF inverse = hn::Set(df, 1.0F / denominator);
  for (int64_t j = 0; j < count; j += n) hn::Store(hn::Mul(hn::Load(df, scores + j), inverse), df, scores + j);
  return total;
}

// Columns [first, first + kVectors * Lanes) of the weighted sum.
template <DataType kType, int kVectors>
HWY_INLINE void SumColumns(std::span<const KeyIndex> keys, const float* HWY_RESTRICT weights, const TensorView& values,
                           int64_t first, float* HWY_RESTRICT out) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t first_byte = RowBytes(kType, kType == DataType::kQ8_0 ? first / kQ8BlockSize * kQ8BlockSize : first);
  const int64_t bytes = RowBytes(kType, std::max<int64_t>(kVectors * n, kQ8BlockSize));
  // A sum waits for its last addition: as many of them as there are registers for, for keys that take turns.
  constexpr int kTurns = kSumVectors / kVectors;
  VF sum[kTurns][kVectors];
  for (int t = 0; t < kTurns; ++t) {
    for (int v = 0; v < kVectors; ++v) sum[t][v] = hn::Zero(df);
  }
  const auto add = [&](size_t j, VF(&to)[kVectors]) HWY_ATTR {
    if (j + kPrefetchKeys < keys.size()) {
      PrefetchBytes<3>(values.Row(0, keys[j + kPrefetchKeys], 0) + first_byte, bytes);
    }
    const uint8_t* row = values.Row(0, keys[j], 0);
    const VF weight = hn::Set(df, weights[j]);
    for (int v = 0; v < kVectors; ++v) {
      to[v] = hn::MulAdd(weight, RowLoader<kType>::Load(df, row, first + v * n), to[v]);
    }
  };
  size_t j = 0;
  for (; j + kTurns <= keys.size(); j += kTurns) {
    for (int t = 0; t < kTurns; ++t) add(j + t, sum[t]);
  }
  for (; j < keys.size(); ++j) add(j, sum[0]);
  for (int t = 1; t < kTurns; ++t) {
    for (int v = 0; v < kVectors; ++v) sum[0][v] = hn::Add(sum[0][v], sum[t][v]);
  }
  for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[0][v], df, out + first + v * n);
}

// The last columns, fewer than a vector.
template <DataType kType>
HWY_INLINE void SumTail(std::span<const KeyIndex> keys, const float* HWY_RESTRICT weights, const TensorView& values,
                        int64_t first, int64_t d, float* HWY_RESTRICT out) {
  const DF df;
  VF sum = hn::Zero(df);
  for (size_t j = 0; j < keys.size(); ++j) {
    const VF v = LoadTail<kType>(df, values.Row(0, keys[j], 0), first, d - first);
    sum = hn::MulAdd(hn::Set(df, weights[j]), v, sum);
  }
  HWY_ALIGN float tail[kMaxLanes];
  hn::Store(sum, df, tail);
  std::copy_n(tail, d - first, out + first);
}

template <DataType kType>
void WeightedSumOfType(std::span<const KeyIndex> keys, const float* weights, const TensorView& values, int64_t d,
                       float* out) {
  const auto n = static_cast<int64_t>(hn::Lanes(DF()));
  int64_t i = 0;
  for (; i + kSumVectors * n <= d; i += kSumVectors * n) SumColumns<kType, kSumVectors>(keys, weights, values, i, out);
  for (; i + kSumVectors / 2 * n <= d; i += kSumVectors / 2 * n) {
    SumColumns<kType, kSumVectors / 2>(keys, weights, values, i, out);
  }
  for (; i + n <= d; i += n) SumColumns<kType, 1>(keys, weights, values, i, out);
  if (i < d) SumTail<kType>(keys, weights, values, i, d, out);
}

void WeightedSumSimd(std::span<const KeyIndex> keys, const float* weights, const TensorView& values, int64_t d,
                     float* out) {
  WithType(values.type, [&](auto type) { WeightedSumOfType<type>(keys, weights, values, d, out); });
}

void OnlineSoftmaxStepSimd(float* HWY_RESTRICT scores, ExpSum& total, float* HWY_RESTRICT accumulator, int64_t d) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const float block_largest = LargestOf(scores, kBlockKeys);
  if (block_largest == kHidden) {
    std::fill_n(scores, kBlockKeys, 0.0F);
    return;
  }
  if (!(block_largest <= total.largest)) {  // NaN goes on into the result
    const float rescale = std::exp(total.largest - block_largest);
    total.sum *= rescale;
    total.largest = block_largest;
    const VF factor = hn::Set(df, rescale);
    for (int64_t i = 0; i < d; i += n) hn::Store(hn::Mul(hn::Load(df, accumulator + i), factor), df, accumulator + i);
  }
  const VF top = hn::Set(df, total.largest);
  VF sum = hn::Zero(df);
  for (int64_t j = 0; j < kBlockKeys; j += n) {
    const VF e = hn::Exp(df, hn::Sub(hn::Load(df, scores + j), top));
    hn::Store(e, df, scores + j);
    sum = hn::Add(sum, e);
  }
  total.sum += hn::GetLane(hn::SumOfLanes(df, sum));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(AddToExpSumSimd);
HWY_EXPORT(SoftmaxSimd);
HWY_EXPORT(WeightedSumSimd);
HWY_EXPORT(OnlineSoftmaxStepSimd);

void AddToExpSum(const float* scores, ExpSum& total) { HWY_DYNAMIC_DISPATCH(AddToExpSumSimd)(scores, total); }

ExpSum Softmax(float* scores, int64_t count, float sink_logit) {
  return HWY_DYNAMIC_DISPATCH(SoftmaxSimd)(scores, count, sink_logit);
}

void WeightedSum(std::span<const KeyIndex> keys, const float* weights, const TensorView& values, int64_t d,
                 float* out) {
  HWY_DYNAMIC_DISPATCH(WeightedSumSimd)(keys, weights, values, d, out);
}

void OnlineSoftmaxStep(float* scores, ExpSum& total, float* accumulator, int64_t d) {
  HWY_DYNAMIC_DISPATCH(OnlineSoftmaxStepSimd)(scores, total, accumulator, d);
}

}  // namespace topk
#endif  // HWY_ONCE
