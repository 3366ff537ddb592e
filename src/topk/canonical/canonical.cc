#include "topk/canonical/canonical.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/canonical/canonical.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DD = hn::CappedTag<double, kCanonicalLanes>;
using DHalf = hn::Rebind<float, DD>;
using DF = hn::CappedTag<float, kMaxLanes>;

// sum over i of a_i b_i in the canonical order; both are zero from d up to the next multiple of kCanonicalLanes.
HWY_INLINE double CanonicalDot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t d) {
  const DD dd;
  const DHalf half;
  constexpr int kVectors = kCanonicalLanes / hn::MaxLanes(DD());
  const auto n = static_cast<int64_t>(hn::Lanes(dd));
  hn::Vec<DD> lane[kVectors];
  for (int v = 0; v < kVectors; ++v) lane[v] = hn::Zero(dd);
  for (int64_t i = 0; i < d; i += kCanonicalLanes) {
    for (int v = 0; v < kVectors; ++v) {
      const auto x = hn::PromoteTo(dd, hn::LoadU(half, a + i + v * n));
      const auto y = hn::PromoteTo(dd, hn::LoadU(half, b + i + v * n));
      lane[v] = hn::MulAdd(x, y, lane[v]);
    }
  }
  HWY_ALIGN double s[kCanonicalLanes];
  for (int v = 0; v < kVectors; ++v) hn::Store(lane[v], dd, s + v * n);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

template <DataType kType>
void DotsOfType(const float* q, const TensorView& keys, int64_t d, std::span<const KeyIndex> list, double* dots) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t whole = d / n * n;
  HWY_ALIGN float q_padded[PadToLanes(kMaxHeadSize)];
  HWY_ALIGN float key[PadToLanes(kMaxHeadSize)];
  std::fill(std::copy_n(q, d, q_padded), q_padded + PadToLanes(d), 0.0F);
  std::fill(key + whole, key + PadToLanes(d), 0.0F);
  for (size_t j = 0; j < list.size(); ++j) {
    const uint8_t* row = keys.Row(0, list[j], 0);
    for (int64_t i = 0; i < whole; i += n) hn::Store(RowLoader<kType>::Load(df, row, i), df, key + i);
    if (whole < d) hn::Store(LoadTail<kType>(df, row, whole, d - whole), df, key + whole);
    dots[j] = CanonicalDot(q_padded, key, d);
  }
}

void CanonicalDotsSimd(const float* q, const TensorView& keys, int64_t d, std::span<const KeyIndex> list,
                       double* dots) {
  WithType(keys.type, [&](auto type) { DotsOfType<type>(q, keys, d, list, dots); });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(CanonicalDotsSimd);

void CanonicalDots(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys,
                   double* dots) {
  HWY_DYNAMIC_DISPATCH(CanonicalDotsSimd)(q, head_keys, d, keys, dots);
}

}  // namespace topk
#endif  // HWY_ONCE
