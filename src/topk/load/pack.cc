#include "topk/load/pack.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/load/pack.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "topk/load/load-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
constexpr int64_t kBlockLanes = 4;  // f32 lanes of the 128-bit blocks that Interleave works within

// Numbers i .. i + N of four keys, transposed into column i + m of the panel: four neighbouring keys a number.
template <class V>
HWY_INLINE void StoreTransposed(DF df, V a, V b, V c, V d, float* HWY_RESTRICT column, int64_t count) {
  const hn::RepartitionToWide<DF> dd;
  const auto ab_low = hn::InterleaveLower(df, a, b);  // a0 b0 a1 b1 in each block
  const auto ab_high = hn::InterleaveUpper(df, a, b);
  const auto cd_low = hn::InterleaveLower(df, c, d);
  const auto cd_high = hn::InterleaveUpper(df, c, d);
  const auto pair = [&](auto x, auto y, bool upper) HWY_ATTR {
    const auto xx = hn::BitCast(dd, x);
    const auto yy = hn::BitCast(dd, y);
    return hn::BitCast(df, upper ? hn::InterleaveUpper(dd, xx, yy) : hn::InterleaveLower(dd, xx, yy));
  };
  // Row m, block b: number 4 b + m of the four keys.
  HWY_ALIGN float rows[kBlockLanes][kMaxLanes];
  hn::Store(pair(ab_low, cd_low, false), df, rows[0]);
  hn::Store(pair(ab_low, cd_low, true), df, rows[1]);
  hn::Store(pair(ab_high, cd_high, false), df, rows[2]);
  hn::Store(pair(ab_high, cd_high, true), df, rows[3]);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(column + i * kBlockKeys, &rows[i % kBlockLanes][i / kBlockLanes * kBlockLanes],
                kBlockLanes * sizeof(float));
  }
}

template <DataType kType>
bool PackKeysOfType(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* HWY_RESTRICT panel,
                    int32_t* HWY_RESTRICT magnitude) {
  const DF df;
  const hn::RebindToSigned<DF> di;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto absolute = hn::Set(di, 0x7FFFFFFF);
  auto grew = hn::Zero(di);
  if (count < kBlockKeys) std::fill_n(panel, d * kBlockKeys, 0.0F);
  for (int64_t j = 0; j < count; j += kBlockLanes) {
    const uint8_t* row[kBlockLanes];
    // Past the end the last key stands in; its copies are cleared below.
    for (int64_t m = 0; m < kBlockLanes; ++m) row[m] = keys.Row(0, first + std::min(j + m, count - 1), 0);
    for (int64_t i = 0; i < d; i += n) {
      const int64_t width = std::min(n, d - i);
      const auto load = [&](int64_t m) HWY_ATTR {
        return width == n ? RowLoader<kType>::Load(df, row[m], i) : LoadTail<kType>(df, row[m], i, width);
      };
      const auto a = load(0);
      const auto b = load(1);
      const auto c = load(2);
      const auto e = load(3);
      StoreTransposed(df, a, b, c, e, panel + i * kBlockKeys + j, width);

      const auto bits = [&](auto v) HWY_ATTR { return hn::And(hn::BitCast(di, v), absolute); };
      const auto largest = hn::Max(hn::Max(bits(a), bits(b)), hn::Max(bits(c), bits(e)));
      const auto before = hn::Load(di, magnitude + i);
      grew = hn::Or(grew, hn::VecFromMask(di, hn::Gt(largest, before)));
      hn::Store(hn::Max(before, largest), di, magnitude + i);
    }
  }
  for (int64_t j = count; j < (count + kBlockLanes - 1) / kBlockLanes * kBlockLanes; ++j) {
    for (int64_t i = 0; i < d; ++i) panel[i * kBlockKeys + j] = 0.0F;
  }
  return !hn::AllFalse(di, hn::MaskFromVec(grew));
}

bool PackKeysSimd(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel, int32_t* magnitude) {
  bool grew = false;
  WithType(keys.type, [&](auto type) { grew = PackKeysOfType<type>(keys, first, count, d, panel, magnitude); });
  return grew;
}

template <DataType kType>
bool PackValuesOfType(const TensorView& values, int64_t first, int64_t count, int64_t d, float* HWY_RESTRICT panel) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t padded = PadToLanes(d);
  const int64_t whole = d / n * n;
  auto spoilt = hn::Zero(df);  // x * 0: NaN where x is not finite
  const auto store = [&](auto x, float* out) HWY_ATTR {
    spoilt = hn::MulAdd(x, hn::Zero(df), spoilt);
    hn::Store(x, df, out);
  };
  for (int64_t j = 0; j < count; ++j) {
    const uint8_t* row = values.Row(0, first + j, 0);
    float* out = panel + j * padded;
    for (int64_t i = 0; i < whole; i += n) store(RowLoader<kType>::Load(df, row, i), out + i);
    if (whole < padded) std::fill(out + whole, out + padded, 0.0F);
    if (whole < d) store(LoadTail<kType>(df, row, whole, d - whole), out + whole);
  }
  std::fill_n(panel + count * padded, (kBlockKeys - count) * padded, 0.0F);
  return hn::AllTrue(df, hn::Eq(spoilt, hn::Zero(df)));
}

bool PackValuesSimd(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel) {
  bool all_finite = true;
  WithType(values.type, [&](auto type) { all_finite = PackValuesOfType<type>(values, first, count, d, panel); });
  return all_finite;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(PackKeysSimd);
HWY_EXPORT(PackValuesSimd);

bool PackKeys(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel, int32_t* magnitude) {
  return HWY_DYNAMIC_DISPATCH(PackKeysSimd)(keys, first, count, d, panel, magnitude);
}

bool PackValues(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel) {
  return HWY_DYNAMIC_DISPATCH(PackValuesSimd)(values, first, count, d, panel);
}

}  // namespace topk
#endif  // HWY_ONCE
