// Products of int8 tiles on AMX: 16 rows x 16 keys x 64 dimensions an instruction, some four times as fast as VNNI.
// Included once per SIMD target by the scan in integers, and for the registers of products by those of bf16.
#if defined(TOPK_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_AMX_INL_H_
#undef TOPK_AMX_INL_H_
#else
#define TOPK_AMX_INL_H_
#endif

#include <hwy/highway.h>

#include "topk/amx.h"
#include "topk/load/pack.h"
#include "topk/quantize/quantize.h"

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64
HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {

inline constexpr int64_t kAmxDimensions = kAmxRowBytes;
inline constexpr int64_t kAmxTiles = 2;  // rows and keys of a step: 2 x 2 tiles of products, 2 and 2 of operands

// The products that registers 0 to 3 add up; all need an AmxRegisters.
HWY_INLINE void ClearProducts() {
  // NOLINTNEXTLINE(hicpp-no-assembler)
  asm volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" ::);
}
HWY_INLINE void StoreProducts(void* first, void* second, void* third, void* fourth, int64_t row_bytes) {
  // NOLINTNEXTLINE(hicpp-no-assembler)
  asm volatile(
      "tilestored %%tmm0, (%0,%4,1)\n\t"
      "tilestored %%tmm1, (%1,%4,1)\n\t"
      "tilestored %%tmm2, (%2,%4,1)\n\t"
      "tilestored %%tmm3, (%3,%4,1)"
      :
      : "r"(first), "r"(second), "r"(third), "r"(fourth), "r"(row_bytes)
      : "memory");
}

// products[t][u] = those of rows 16 t + [0, 16) with keys 16 u + [0, 16) of a panel, t, u < 2: their signed bytes
// times the keys' unsigned ones. d: a multiple of kAmxDimensions. Needs an AmxRegisters.
HWY_INLINE void MultiplyAmx(const uint8_t* HWY_RESTRICT rows, const uint8_t* HWY_RESTRICT keys, int64_t d,
                            int32_t (*HWY_RESTRICT products)[kAmxTiles][kAmxRows][kMaxLanes]) {
  constexpr int64_t kGroupStride = kBlockKeys * kGroupBytes;  // of a panel
  constexpr int64_t kStep = kAmxDimensions / kGroup * kGroupStride;
  constexpr int64_t kProductStride = kMaxLanes * static_cast<int64_t>(sizeof(int32_t));
  const uint8_t* more_rows = rows + kAmxRows * d;
  const uint8_t* more_keys = keys + kMaxLanes * kGroupBytes;
  ClearProducts();
  for (int64_t i = 0; i < d; i += kAmxDimensions, keys += kStep, more_keys += kStep) {
    // NOLINTNEXTLINE(hicpp-no-assembler)
    asm volatile(
        "tileloadd (%0,%2,1), %%tmm4\n\t"
        "tileloadd (%3,%5,1), %%tmm6\n\t"
        "tdpbsud %%tmm6, %%tmm4, %%tmm0\n\t"
        "tileloadd (%4,%5,1), %%tmm7\n\t"
        "tdpbsud %%tmm7, %%tmm4, %%tmm1\n\t"
        "tileloadd (%1,%2,1), %%tmm5\n\t"
        "tdpbsud %%tmm6, %%tmm5, %%tmm2\n\t"
        "tdpbsud %%tmm7, %%tmm5, %%tmm3"
        :
        : "r"(rows + i), "r"(more_rows + i), "r"(d), "r"(keys), "r"(more_keys), "r"(kGroupStride)
        : "memory");
  }
  StoreProducts(products[0][0], products[0][1], products[1][0], products[1][1], kProductStride);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // TOPK_AMX_INL_H_
