// Keys in f16 to an int8 panel with AVX512-FP16 (Intel, from Sapphire Rapids on): 32 numbers an instruction, and none
// is widened to f32. Included once per SIMD target by quantize_rows.cc.
#if defined(TOPK_FP16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TOPK_FP16_INL_H_
#undef TOPK_FP16_INL_H_
#else
#define TOPK_FP16_INL_H_
#endif

#include <hwy/highway.h>

#include "topk/amx.h"
#include "topk/load/load-inl.h"
#include "topk/load/transpose-inl.h"
#include "topk/quantize/quantize_rows.h"

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64
HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t kHalves = 32;                    // of a vector
inline constexpr int64_t kHalvesChunk = 2 * kHalves;      // of a key, which become 64 bytes
inline constexpr int64_t kMostHalves = 8 * kHalvesChunk;  // head sizes up to this

// In f16 a number of [1024, 2048) has steps of 1. So k f + (1536 + 128 - c), rounded once, is an integer, and if that
// is between 1536 and 1791, k's number fits into a byte: the upper byte is that of 1536, the lower one 128 + the
// number.
inline constexpr float kHalfRounder = 1536.0F;
inline constexpr uint16_t kHalfRounderBits = 0x6600;

// Factors and 1664 - centres in f16.
struct Halves {
  alignas(kCacheLineBytes) uint16_t factor[kMostHalves];
  alignas(kCacheLineBytes) uint16_t shift[kMostHalves];
};

// False if the numbers are none of f16, or d does not suit.
HWY_INLINE bool ToHalves(int64_t d, const float* HWY_RESTRICT factor, const float* HWY_RESTRICT centre,
                         Halves& halves) {
  if (d % kHalvesChunk != 0 || d > kMostHalves) return false;
  const hn::CappedTag<float, kMaxLanes> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> d16;
  const auto base = hn::Set(df, kHalfRounder + static_cast<float>(kByteOffset));
  bool are_exact = true;
  for (int64_t i = 0; i < d; i += static_cast<int64_t>(hn::Lanes(df))) {
    const auto convert = [&](auto x, uint16_t* to) HWY_ATTR {
      const auto half = hn::DemoteTo(d16, x);
      hn::StoreU(half, d16, reinterpret_cast<hwy::float16_t*>(to));
      are_exact = are_exact && hn::AllTrue(df, hn::Eq(hn::PromoteTo(df, half), x));
    };
    convert(hn::Load(df, factor + i), halves.factor + i);
    convert(hn::Sub(base, hn::Load(df, centre + i)), halves.shift + i);
  }
  return are_exact;
}

// Where the bytes of NumberAt's order are: lower bytes of the halves of two vectors.
struct PanelOrder {
  PanelOrder() {
    for (int64_t group = 0; group < kHalvesChunk / kGroup; ++group) {
      for (int64_t m = 0; m < kGroup; ++m) bytes[group * kGroup + m] = static_cast<uint8_t>(2 * NumberAt(group, m));
    }
  }
  alignas(kCacheLineBytes) uint8_t bytes[kHalvesChunk];
};

// The panel of QuantizeRows, without the bytes of keys that are not there; false if a number does not fit.
HWY_INLINE bool QuantizeHalves(const KeyBlock& block, int64_t d, const Halves& halves, uint8_t* HWY_RESTRICT panel) {
  static const PanelOrder panel_order;
  const DSquare df;
  const __m512i order = _mm512_load_si512(panel_order.bytes);
  const __m512i expected = _mm512_set1_epi16(static_cast<int16_t>(kHalfRounderBits));
  __m512i strange = _mm512_setzero_si512();
  for (int64_t j = 0; j < block.count; j += kSquareLanes) {
    const FetchAhead ahead = block.ahead.Part(j / kSquareLanes, kBlockKeys / kSquareLanes);
    PrefetchBytes<2>(ahead.begin, ahead.bytes);
    const uint8_t* row[kSquareLanes];
    for (int64_t m = 0; m < kSquareLanes; ++m) {
      row[m] = block.keys.Row(0, block.first + std::min(j + m, block.count - 1), 0);
    }
    for (int64_t i = 0; i < d; i += kHalvesChunk) {
      VSquare low[kSquareLanes];
      VSquare high[kSquareLanes];
      for (int64_t m = 0; m < kSquareLanes; ++m) {
        __m512i half[2];
        for (int64_t v = 0; v < 2; ++v) {
          const int64_t at = i + v * kHalves;
          half[v] = _mm512_loadu_si512(row[m] + at * static_cast<int64_t>(sizeof(uint16_t)));
          asm("vfmadd213ph %2, %1, %0"  // NOLINT(hicpp-no-assembler)
              : "+v"(half[v])
              : "v"(_mm512_load_si512(halves.factor + at)), "v"(_mm512_load_si512(halves.shift + at)));
          constexpr int kOrXor = 0xF6;  // a | (b ^ c)
          strange = _mm512_ternarylogic_epi32(strange, half[v], expected, kOrXor);
        }
        asm("vpermt2b %2, %1, %0" : "+v"(half[0]) : "v"(order), "v"(half[1]));  // NOLINT(hicpp-no-assembler)
        low[m] = VSquare{_mm256_castsi256_ps(_mm512_castsi512_si256(half[0]))};
        high[m] = VSquare{_mm256_castsi256_ps(_mm512_extracti64x4_epi64(half[0], 1))};
      }
      TransposeSquare(low);
      TransposeSquare(high);
      float* words = reinterpret_cast<float*>(panel) + i / kGroup * kBlockKeys + j;
      for (int64_t m = 0; m < kSquareLanes; ++m) {
        hn::Store(low[m], df, words + m * kBlockKeys);
        hn::Store(high[m], df, words + (kSquareLanes + m) * kBlockKeys);
      }
    }
  }
  const __m512i upper_bytes = _mm512_set1_epi16(static_cast<int16_t>(0xFF00));
  return _mm512_test_epi16_mask(strange, upper_bytes) == 0;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // TOPK_FP16_INL_H_
