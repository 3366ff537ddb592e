#include "topk/dropout/dropout.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/dropout/dropout.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "topk/load/pack.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using DU = hn::RebindToUnsigned<DF>;
using VU = hn::Vec<DU>;

HWY_INLINE VU Mix(VU x) {
  const DU du;
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<16>(x)), hn::Set(du, 0x7FEB352DU));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), hn::Set(du, 0x846CA68BU));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

void DropWeightsSimd(const DropoutRow& row, std::span<const KeyIndex> keys, float* HWY_RESTRICT weights) {
  const DF df;
  const DU du;
  const size_t n = hn::Lanes(df);
  const VU a = hn::Set(du, row.a);
  const VU b = hn::Set(du, row.b);
  const VU threshold = hn::Set(du, row.threshold);
  const auto factor = hn::Set(df, row.factor);
  size_t j = 0;
  for (; j + n <= keys.size(); j += n) {
    const VU key = hn::BitCast(du, hn::LoadU(hn::RebindToSigned<DF>(), keys.data() + j));
    const VU random = Mix(hn::Add(Mix(hn::Xor(key, a)), b));
    const auto dropped = hn::RebindMask(df, hn::Lt(random, threshold));
    hn::StoreU(hn::IfThenZeroElse(dropped, hn::Mul(hn::LoadU(df, weights + j), factor)), df, weights + j);
  }
  DropWeightsReference(row, keys.subspan(j), weights + j);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(DropWeightsSimd);

void DropWeights(const DropoutRow& row, std::span<const KeyIndex> keys, float* weights) {
  HWY_DYNAMIC_DISPATCH(DropWeightsSimd)(row, keys, weights);
}

}  // namespace topk
#endif  // HWY_ONCE
