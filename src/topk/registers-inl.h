// How many vector registers a SIMD target has, which bounds the tiles of its kernels. Included once per target. Without
// HWY_BEFORE_NAMESPACE: no function here needs the target's attribute, and clang warns of one that nothing takes.
#if defined(TOPK_REGISTERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_REGISTERS_INL_H_
#undef TOPK_REGISTERS_INL_H_
#else
#define TOPK_REGISTERS_INL_H_
#endif

#include <hwy/highway.h>

namespace topk {
namespace HWY_NAMESPACE {

constexpr bool kHas32Registers = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM;  // else 16

}  // namespace HWY_NAMESPACE
}  // namespace topk

#endif  // per-target include guard
