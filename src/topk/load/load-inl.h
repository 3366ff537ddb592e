// Rows of any DataType as vectors of f32, exactly. Included once per SIMD target by the kernels.
#if defined(TOPK_LOAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_LOAD_INL_H_
#undef TOPK_LOAD_INL_H_
#else
#define TOPK_LOAD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "topk/carver.h"
#include "topk/load/pack.h"
#include "topk/numeric.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Load(df, row, i): the numbers i .. i + Lanes(df) of a row, all within its d numbers. For q8_0, i is a multiple of
// Lanes(df), which divides the block size.
template <DataType kType>
struct RowLoader;

template <>
struct RowLoader<DataType::kF32> {
  template <class DF>
  static HWY_INLINE hn::Vec<DF> Load(DF df, const uint8_t* HWY_RESTRICT row, int64_t i) {
    return hn::LoadU(df, reinterpret_cast<const float*>(row) + i);
  }
};

template <>
struct RowLoader<DataType::kF16> {
  template <class DF>
  static HWY_INLINE hn::Vec<DF> Load(DF df, const uint8_t* HWY_RESTRICT row, int64_t i) {
#if HWY_TARGET == HWY_SSE4
    // Without F16C Highway's own promotion takes infinity and NaN for large numbers.
    const hn::Rebind<uint16_t, DF> du16;
    const hn::RebindToUnsigned<DF> du32;
    const auto bits = hn::PromoteTo(du32, hn::LoadU(du16, reinterpret_cast<const uint16_t*>(row) + i));
    const auto magnitude = hn::And(bits, hn::Set(du32, 0x7FFFU));
    // As an f32 the exponent is 112 too small; the product is exact, for subnormal numbers too.
    const auto finite = hn::Mul(hn::BitCast(df, hn::ShiftLeft<13>(magnitude)), hn::Set(df, 0x1p112F));
    const auto is_finite =
        hn::Lt(hn::BitCast(hn::RebindToSigned<DF>(), magnitude), hn::Set(hn::RebindToSigned<DF>(), 0x7C00));
    const auto not_finite = hn::BitCast(df, hn::Or(hn::ShiftLeft<13>(magnitude), hn::Set(du32, 0x7F800000U)));
    const auto absolute = hn::IfThenElse(hn::RebindMask(df, is_finite), finite, not_finite);
    return hn::Or(absolute, hn::BitCast(df, hn::ShiftLeft<16>(hn::And(bits, hn::Set(du32, 0x8000U)))));
#else
    const hn::Rebind<hwy::float16_t, DF> d16;
    return hn::PromoteTo(df, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(row) + i));
#endif
  }
};

template <>
struct RowLoader<DataType::kBF16> {
  template <class DF>
  static HWY_INLINE hn::Vec<DF> Load(DF df, const uint8_t* HWY_RESTRICT row, int64_t i) {
    const hn::Rebind<uint16_t, DF> du16;
    const hn::RebindToUnsigned<DF> du32;
    const auto bits = hn::PromoteTo(du32, hn::LoadU(du16, reinterpret_cast<const uint16_t*>(row) + i));
    return hn::BitCast(df, hn::ShiftLeft<16>(bits));
  }
};

template <>
struct RowLoader<DataType::kQ8_0> {
  template <class DF>
  static HWY_INLINE hn::Vec<DF> Load(DF df, const uint8_t* HWY_RESTRICT row, int64_t i) {
    const hn::Rebind<int8_t, DF> di8;
    const hn::RebindToSigned<DF> di32;
    const uint8_t* block = row + i / kQ8BlockSize * kQ8BlockBytes;
    const auto numbers = hn::LoadU(di8, reinterpret_cast<const int8_t*>(block + 2 + i % kQ8BlockSize));
    return hn::Mul(hn::ConvertTo(df, hn::PromoteTo(di32, numbers)), Scale(df, block));
  }

 private:
  // The f16 that a block begins with, in all lanes.
  template <class DF>
  static HWY_INLINE hn::Vec<DF> Scale(DF df, const uint8_t* HWY_RESTRICT block) {
#if HWY_TARGET == HWY_SSE4
    return hn::Set(df, F16ToF32(ReadAs<uint16_t>(block)));
#else
    const hn::Rebind<uint16_t, DF> du16;
    const hn::Rebind<hwy::float16_t, DF> d16;
    return hn::PromoteTo(df, hn::BitCast(d16, hn::Set(du16, ReadAs<uint16_t>(block))));
#endif
  }
};

// The last count < Lanes(df) numbers of a row, from i on; zeros in the other lanes.
template <DataType kType, class DF>
HWY_INLINE hn::Vec<DF> LoadTail(DF df, const uint8_t* HWY_RESTRICT row, int64_t i, int64_t count) {
  HWY_ALIGN float buffer[kMaxLanes] = {};
  for (int64_t j = 0; j < count; ++j) buffer[j] = ReadNumber(kType, row, i + j);
  return hn::Load(df, buffer);
}

// Fetches bytes [begin, begin + count), which need not be there. kLocality as in __builtin_prefetch: 3 for L1, 2 for
// L2.
template <int kLocality>
HWY_INLINE void PrefetchBytes(const uint8_t* begin, int64_t count) {
  for (int64_t byte = 0; byte < count; byte += static_cast<int64_t>(kCacheLineBytes)) {
    __builtin_prefetch(begin + byte, 0, kLocality);
  }
}

// Pairs of f32 lanes interleaved within each 128-bit block: the lower pair of a and of b, or the upper ones.
template <class V>
HWY_INLINE V InterleaveLowerPairs(V a, V b) {
  const hn::DFromV<V> df;
  const hn::RepartitionToWide<decltype(df)> dd;
  return hn::BitCast(df, hn::InterleaveLower(dd, hn::BitCast(dd, a), hn::BitCast(dd, b)));
}
template <class V>
HWY_INLINE V InterleaveUpperPairs(V a, V b) {
  const hn::DFromV<V> df;
  const hn::RepartitionToWide<decltype(df)> dd;
  return hn::BitCast(df, hn::InterleaveUpper(dd, hn::BitCast(dd, a), hn::BitCast(dd, b)));
}

// Calls fn with the type as a compile-time constant.
template <class Fn>
HWY_INLINE void WithType(DataType type, Fn&& fn) {
  switch (type) {
    case DataType::kF32: return fn(std::integral_constant<DataType, DataType::kF32>());
    case DataType::kF16: return fn(std::integral_constant<DataType, DataType::kF16>());
    case DataType::kBF16: return fn(std::integral_constant<DataType, DataType::kBF16>());
    case DataType::kQ8_0: return fn(std::integral_constant<DataType, DataType::kQ8_0>());
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#endif  // TOPK_LOAD_INL_H_
