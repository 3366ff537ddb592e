// Dot products of groups of integers: four int8 or two int16 numbers, which fill 32 bits. Included once per SIMD target
// by the kernels that multiply quantised panels.
#if defined(TOPK_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_DOT_INL_H_
#undef TOPK_DOT_INL_H_
#else
#define TOPK_DOT_INL_H_
#endif

#include <hwy/highway.h>

#include "topk/load/pack.h"
#include "topk/quantize/number_width.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DDot = hn::CappedTag<int32_t, kMaxLanes>;  // a lane is a group of integers, or their dot product
using VDot = hn::Vec<DDot>;
using DPair = hn::RepartitionToNarrow<DDot>;
using VPair = hn::Vec<DPair>;

// sum + the products of two, by a widening multiply. Some targets deal the products out to two sums, and how is theirs
// to say: both start from zero.
HWY_INLINE VDot AddPairs(VDot sum, VPair a, VPair b) {
  const DDot di;
  VDot other = hn::Zero(di);
  const VDot products = hn::ReorderWidenMulAccumulate(di, a, b, hn::Zero(di), other);
  return hn::Add(sum, hn::RearrangeToOddPlusEven(products, other));
}

// Add(sum, keys, query): sum + the products of each group, by widening multiplies. Keys in int8 are unsigned bytes.
template <class Numbers>
struct WideningDot;

template <>
struct WideningDot<Int8> {
  static HWY_INLINE VDot Add(VDot sum, VDot keys, VDot query) {
    const auto as_16 = [](VDot x) HWY_ATTR { return hn::BitCast(DPair(), x); };
    const VDot low_bytes = hn::Set(DDot(), 0x00FF00FF);
    // Bytes 0 and 2 of each group as 16-bit numbers, then 1 and 3.
    const VPair keys_even = as_16(hn::And(keys, low_bytes));
    const VPair keys_odd = as_16(hn::And(hn::ShiftRight<8>(keys), low_bytes));
    const VPair query_even = hn::ShiftRight<8>(hn::ShiftLeft<8>(as_16(query)));
    const VPair query_odd = hn::ShiftRight<8>(as_16(query));
    return AddPairs(AddPairs(sum, keys_even, query_even), keys_odd, query_odd);
  }
};

template <>
struct WideningDot<Int16> {
  static HWY_INLINE VDot Add(VDot sum, VDot keys, VDot query) {
    return AddPairs(sum, hn::BitCast(DPair(), keys), hn::BitCast(DPair(), query));
  }
};

#if HWY_ARCH_X86
// The same for queries whose numbers are at most kLargestPairedInt8: products of unsigned and signed bytes, added up
// in pairs of 16 bits, which then do not saturate. Half the instructions of WideningDot.
template <class Numbers>
struct PairedDot : WideningDot<Numbers> {};

template <>
struct PairedDot<Int8> {
  static HWY_INLINE VDot Add(VDot sum, VDot keys, VDot query) {
    const auto ones = hn::Set(DPair(), 1).raw;
#if HWY_TARGET <= HWY_AVX3
    const auto products = _mm512_madd_epi16(_mm512_maddubs_epi16(keys.raw, query.raw), ones);
#elif HWY_TARGET <= HWY_AVX2
    const auto products = _mm256_madd_epi16(_mm256_maddubs_epi16(keys.raw, query.raw), ones);
#else
    const auto products = _mm_madd_epi16(_mm_maddubs_epi16(keys.raw, query.raw), ones);
#endif
    return hn::Add(sum, VDot{products});
  }
};
#endif

#if HWY_TARGET <= HWY_AVX3
// AVX512-VNNI, which none of the targets of Highway 1.0.3 has: as assembly it needs no other compiler flags than
// theirs.
template <class Numbers>
struct VnniDot {
  static HWY_INLINE VDot Add(VDot sum, VDot keys, VDot query) {
    // NOLINTBEGIN(hicpp-no-assembler)
    if constexpr (Numbers::kWidth == NumberWidth::kInt8) {
      asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(keys.raw), "v"(query.raw));
    } else {
      asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(keys.raw), "v"(query.raw));
    }
    // NOLINTEND(hicpp-no-assembler)
    return sum;
  }
};

inline bool HasVnni() {
  static const bool has_vnni = __builtin_cpu_supports("avx512vnni") != 0;
  return has_vnni;
}
#endif

// fn of the fastest of them that the CPU has for any numbers.
template <class Numbers, class Fn>
HWY_INLINE auto WithDot(Fn&& fn) {
#if HWY_TARGET <= HWY_AVX3
  if (HasVnni()) return fn(VnniDot<Numbers>());
#endif
  return fn(WideningDot<Numbers>());
}

// The same for queries within LargestQueryInt8().
template <class Numbers, class Fn>
HWY_INLINE auto WithQueryDot(Fn&& fn) {
#if HWY_TARGET <= HWY_AVX3
  if (HasVnni()) return fn(VnniDot<Numbers>());
#endif
#if HWY_ARCH_X86
  return fn(PairedDot<Numbers>());
#else
  return fn(WideningDot<Numbers>());
#endif
}

HWY_INLINE int32_t LargestQueryInt8Here() {
#if HWY_TARGET <= HWY_AVX3
  if (HasVnni()) return kLargestInt8;
#endif
  return HWY_ARCH_X86 ? kLargestPairedInt8 : kLargestInt8;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#endif  // TOPK_DOT_INL_H_
