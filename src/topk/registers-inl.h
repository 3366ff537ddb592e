// How many vector registers a SIMD target has, which bounds the tiles of its kernels. Included once per target.
#if defined(TOPK_REGISTERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_REGISTERS_INL_H_
#undef TOPK_REGISTERS_INL_H_
#else
#define TOPK_REGISTERS_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {

constexpr bool kHas32Registers = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM;  // else 16

}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
