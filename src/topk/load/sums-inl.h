// Sums of vectors' lanes, four at a time. Included once per SIMD target by the kernels that multiply rows of keys.
#if defined(TOPK_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_SUMS_INL_H_
#undef TOPK_SUMS_INL_H_
#else
#define TOPK_SUMS_INL_H_
#endif

#include <hwy/highway.h>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int kSumsAtOnce = 4;

// The sums of the lanes of kSumsAtOnce vectors, into out[0, kSumsAtOnce).
template <class V>
HWY_INLINE void StoreSums(const V (&parts)[kSumsAtOnce], float* HWY_RESTRICT out) {
  const hn::DFromV<V> df;
  const auto pairs = [&](V a, V b) HWY_ATTR {  // a b a b in each 128 bits
    return hn::Add(hn::InterleaveLower(df, a, b), hn::InterleaveUpper(df, a, b));
  };
  const V ab = pairs(parts[0], parts[1]);
  const V cd = pairs(parts[2], parts[3]);
  const V sums = hn::Add(InterleaveLowerPairs(ab, cd), InterleaveUpperPairs(ab, cd));  // a b c d
  HWY_ALIGN float blocks[kMaxLanes];
  hn::Store(sums, df, blocks);
  const hn::FixedTag<float, 4> d4;
  auto total = hn::Load(d4, blocks);
  for (size_t block = 4; block < hn::Lanes(df); block += 4) total = hn::Add(total, hn::Load(d4, blocks + block));
  hn::StoreU(total, d4, out);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#endif  // TOPK_SUMS_INL_H_
