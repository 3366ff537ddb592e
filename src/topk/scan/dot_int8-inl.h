// Dot products of groups of four int8 numbers. Included once per SIMD target by the kernels that multiply int8 panels.
#if defined(TOPK_DOT_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_DOT_INT8_INL_H_
#undef TOPK_DOT_INT8_INL_H_
#else
#define TOPK_DOT_INT8_INL_H_
#endif

#include <hwy/highway.h>

#include "topk/load/pack.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DDot = hn::CappedTag<int32_t, kMaxLanes>;  // a lane is a group of four int8 numbers, or their dot product
using VDot = hn::Vec<DDot>;

// sum + the products of four: unsigned `bytes` times signed `numbers`, by widening multiplies of two.
struct WideningDot {
  static HWY_INLINE VDot Add(VDot sum, VDot bytes, VDot numbers) {
    const DDot di;
    const hn::RepartitionToNarrow<DDot> d16;
    const auto as_16 = [&](VDot x) HWY_ATTR { return hn::BitCast(d16, x); };
    const VDot low_bytes = hn::Set(di, 0x00FF00FF);
    // Bytes 0 and 2 of each group as 16-bit numbers, then 1 and 3.
    const auto bytes_even = as_16(hn::And(bytes, low_bytes));
    const auto bytes_odd = as_16(hn::And(hn::ShiftRight<8>(bytes), low_bytes));
    const auto numbers_even = hn::ShiftRight<8>(hn::ShiftLeft<8>(as_16(numbers)));
    const auto numbers_odd = hn::ShiftRight<8>(as_16(numbers));
    // The second sum is used by targets that deal the products out to two.
    VDot other = hn::Zero(di);
    sum = hn::ReorderWidenMulAccumulate(di, bytes_even, numbers_even, sum, other);
    sum = hn::ReorderWidenMulAccumulate(di, bytes_odd, numbers_odd, sum, other);
    return hn::RearrangeToOddPlusEven(sum, other);
  }
};

#if HWY_TARGET <= HWY_AVX3
// AVX512-VNNI, which none of the targets of Highway 1.0.3 has: as assembly it needs no other compiler flags than
// theirs.
struct VnniDot {
  static HWY_INLINE VDot Add(VDot sum, VDot bytes, VDot numbers) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(bytes.raw), "v"(numbers.raw));  // NOLINT(hicpp-no-assembler)
    return sum;
  }
};

inline bool HasVnni() {
  static const bool has_vnni = __builtin_cpu_supports("avx512vnni") != 0;
  return has_vnni;
}
#endif

// fn of the fastest of them that the CPU has.
template <class Fn>
HWY_INLINE auto WithFourDot(Fn&& fn) {
#if HWY_TARGET <= HWY_AVX3
  if (HasVnni()) return fn(VnniDot());
#endif
  return fn(WideningDot());
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#endif  // TOPK_DOT_INT8_INL_H_
