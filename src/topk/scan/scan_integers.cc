#include "topk/scan/scan_integers.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/scan/scan_integers.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "topk/registers-inl.h"
#include "topk/scan/amx-inl.h"
#include "topk/scan/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DI = DDot;
using VI = VDot;

constexpr float kThresholdLimit = 0x1p30F;                      // no dot is beyond
constexpr int64_t kPanelGroupBytes = kBlockKeys * kGroupBytes;  // from one group of a panel to the next
constexpr int kVectorBytes = kMaxLanes * kGroupBytes;           // a group of kMaxLanes keys
constexpr int kVectors = kBlockKeys / kMaxLanes;                // of kMaxLanes keys, which are one or more SIMD vectors

// The register tile: 6 x 4 sums leave 32 registers room for operands, 6 x 2 leave it 16. Compilers spill sums
// there nevertheless, as each product needs a register before it is added. In int8 that is hidden by the work on its
// bytes; in int16 3 x 2 is a third faster.
constexpr int kTileVectors = kHas32Registers ? 4 : 2;
template <class Numbers>
constexpr int kTileRows = kHas32Registers || Numbers::kWidth == NumberWidth::kInt8 ? kIntegerRows : kIntegerRows / 2;
static_assert(kVectors % kTileVectors == 0);

// use(vector, part, dot): the dots of kRows rows with kTileVectors SIMD vectors of keys, the v-th of which starts at
// lane `part` of the kMaxLanes keys of keys[vector + v].
template <class Numbers, class GroupDot, int kRows, class Use>
HWY_INLINE void DotTile(const uint8_t* HWY_RESTRICT rows, const int32_t* HWY_RESTRICT sums, const uint8_t* const* keys,
                        int64_t d, Use&& use) {
  const DI di;
  const auto n = static_cast<int64_t>(hn::Lanes(di));
  const int64_t n_groups = GroupsOf(d, Numbers::kWidth);
  for (int vector = 0; vector < kVectors; vector += kTileVectors) {
    for (int64_t part = 0; part < kMaxLanes; part += n) {
      VI dot[kRows][kTileVectors];
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kTileVectors; ++v) dot[r][v] = hn::Set(di, -Numbers::kKeyOffset * sums[r]);
      }
      for (int64_t g = 0; g < n_groups; ++g) {
        VI key[kTileVectors];
        for (int v = 0; v < kTileVectors; ++v) {
          key[v] = hn::Load(di, reinterpret_cast<const int32_t*>(keys[vector + v] + g * kPanelGroupBytes) + part);
        }
        for (int r = 0; r < kRows; ++r) {
          int32_t group = 0;
          std::memcpy(&group, rows + (r * n_groups + g) * kGroupBytes, sizeof group);
          const VI query = hn::Set(di, group);
          for (int v = 0; v < kTileVectors; ++v) dot[r][v] = GroupDot::Add(dot[r][v], key[v], query);
        }
      }
      use(vector, part, dot);
    }
  }
}

// Sets the bits `first_bit` on of `bits`, one for each lane of the mask.
template <class M>
HWY_INLINE void SetBits(M mask, int64_t first_bit, uint64_t& bits) {
  const DI di;
  if constexpr (hn::MaxLanes(DI()) >= 8) {
    hn::StoreMaskBits(di, mask, reinterpret_cast<uint8_t*>(&bits) + first_bit / 8);
  } else {
    uint8_t few[8] = {};
    hn::StoreMaskBits(di, mask, few);
    bits = (first_bit == 0 ? 0 : bits) | uint64_t{few[0]} << first_bit;
  }
}

void FindThresholdsSimd(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                        int32_t* HWY_RESTRICT thresholds) {
  const DI di;
  const hn::RebindToFloat<DI> df;
  const auto lowest = hn::Set(df, -kThresholdLimit);
  const auto highest = hn::Set(df, kThresholdLimit);
  for (int64_t b = 0; b < n_blocks; ++b) {
    const auto inverse_scale = hn::Set(df, blocks.inverse_scale[b]);
    const auto norm = hn::Set(df, blocks.scaled_norm[b]);
    const auto error = hn::Set(df, blocks.scaled_error[b]);
    for (int64_t r = 0; r < n_rows; r += hn::Lanes(df)) {
      const auto width = hn::MulAdd(hn::Load(df, rows.norm + r), norm, hn::Mul(hn::Load(df, rows.error + r), error));
      const auto least = hn::MulSub(hn::Load(df, rows.least + r), inverse_scale, width);
      const auto clamped = hn::IfThenElse(hn::Gt(least, lowest), hn::Min(least, highest), lowest);  // NaN: lowest
      hn::Store(hn::Sub(hn::ConvertTo(di, hn::Ceil(clamped)), hn::Set(di, 1)), di, thresholds + b * kIntegerStride + r);
    }
  }
}

// Bits of a block's keys for kRows rows.
template <class Numbers, class GroupDot, int kRows>
HWY_INLINE void ScanRows(const uint8_t* HWY_RESTRICT numbers, const int32_t* HWY_RESTRICT sums,
                         const uint8_t* const* keys, int64_t d, const int32_t* HWY_RESTRICT below,
                         uint64_t* HWY_RESTRICT bits) {
  const DI di;
  DotTile<Numbers, GroupDot, kRows>(numbers, sums, keys, d,
                                    [&](int vector, int64_t part, const VI(&dot)[kRows][kTileVectors]) HWY_ATTR {
                                      for (int i = 0; i < kRows; ++i) {
                                        // v is the inner loop: bits of the first part come first
                                        for (int v = 0; v < kTileVectors; ++v) {
                                          SetBits(hn::Gt(dot[i][v], hn::Set(di, below[i])),
                                                  (vector + v) * kMaxLanes + part, bits[i * kSurvivorStride]);
                                        }
                                      }
                                    });
}

// The last rows, fewer than fill the registers.
template <class Numbers, class GroupDot, int kRows>
HWY_INLINE void ScanLastRows(int64_t n_rows, const uint8_t* numbers, const int32_t* sums, const uint8_t* const* keys,
                             int64_t d, const int32_t* below, uint64_t* bits) {
  if (n_rows == kRows) return ScanRows<Numbers, GroupDot, kRows>(numbers, sums, keys, d, below, bits);
  if constexpr (kRows > 1) {
    ScanLastRows<Numbers, GroupDot, kRows - 1>(n_rows, numbers, sums, keys, d, below, bits);
  }
}

template <class Numbers, class GroupDot>
HWY_INLINE void ScanWith(const QuantizedRows& rows, const uint8_t* HWY_RESTRICT panels, int64_t n_blocks, int64_t d,
                         const int32_t* HWY_RESTRICT thresholds, uint64_t* HWY_RESTRICT survivors) {
  const auto* numbers = static_cast<const uint8_t*>(rows.numbers);
  // As even as can be: 4 and 3 rows keep more sums in flight than 6 and 1.
  const int64_t n_tiles = (rows.n_rows + kTileRows<Numbers> - 1) / kTileRows<Numbers>;
  for (int64_t b = 0; b < n_blocks; ++b) {
    const uint8_t* keys[kVectors];
    for (int v = 0; v < kVectors; ++v)
      keys[v] = panels + b * QuantizedPanelBytes(d, Numbers::kWidth) + v * kVectorBytes;
    for (int64_t t = 0; t < n_tiles; ++t) {
      const int64_t r = t * rows.n_rows / n_tiles;
      const int64_t end = (t + 1) * rows.n_rows / n_tiles;
      ScanLastRows<Numbers, GroupDot, kTileRows<Numbers>>(end - r, numbers + r * QuantizedBytes(d, Numbers::kWidth),
                                                          rows.sums + r, keys, d, thresholds + b * kIntegerStride + r,
                                                          survivors + r * kSurvivorStride + b);
    }
  }
}

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64
// The rows that fill whole steps of AMX; returns how many they are.
int64_t ScanRowsOnAmx(const QuantizedRows& rows, const uint8_t* HWY_RESTRICT panels, int64_t n_blocks, int64_t d,
                      const int32_t* HWY_RESTRICT thresholds, uint64_t* HWY_RESTRICT survivors) {
  constexpr int64_t kRows = kAmxTiles * kAmxRows;
  const int64_t n_rows = rows.n_rows / kRows * kRows;
  if (n_rows == 0 || rows.width != NumberWidth::kInt8 || d % kAmxDimensions != 0 || !UsesAmx()) return 0;
  const DI di;
  const auto* numbers = static_cast<const uint8_t*>(rows.numbers);
  alignas(kCacheLineBytes) int32_t products[kAmxTiles][kAmxTiles][kAmxRows][kMaxLanes];
  alignas(kCacheLineBytes) int32_t below[kRows];
  const VI lowest = hn::Set(di, -static_cast<int32_t>(kThresholdLimit));  // the offset must not make them overflow
  const VI highest = hn::Set(di, static_cast<int32_t>(kThresholdLimit));
  const AmxRegisters registers;
  for (int64_t b = 0; b < n_blocks; ++b, panels += QuantizedPanelBytes(d)) {
    for (int64_t r = 0; r < n_rows; r += kRows) {
      const int64_t first = b * kIntegerStride + r;
      for (int64_t i = 0; i < kRows; i += kMaxLanes) {  // products are of bytes that have the offset still in them
        const VI offset = hn::Mul(hn::Set(di, kByteOffset), hn::LoadU(di, rows.sums + r + i));
        const VI threshold = hn::Clamp(hn::LoadU(di, thresholds + first + i), lowest, highest);
        hn::Store(hn::Add(threshold, offset), di, below + i);
      }
      for (int vector = 0; vector < kVectors; vector += kAmxTiles) {
        MultiplyAmx(numbers + r * d, panels + vector * kVectorBytes, d, products);
        for (int64_t t = 0; t < kAmxTiles; ++t) {
          for (int64_t i = 0; i < kAmxRows; ++i) {
            const VI least = hn::Set(di, below[t * kAmxRows + i]);
            for (int v = 0; v < kAmxTiles; ++v) {
              SetBits(hn::Gt(hn::Load(di, products[t][v][i]), least), (vector + v) * kMaxLanes,
                      survivors[(r + t * kAmxRows + i) * kSurvivorStride + b]);
            }
          }
        }
      }
    }
  }
  return n_rows;
}
#endif

template <class Numbers, class GroupDot>
HWY_INLINE void SampleWith(const QuantizedRows& rows, const uint8_t* const* vectors, const float* HWY_RESTRICT scales,
                           int64_t n_vectors, int64_t d, float* HWY_RESTRICT scores, int64_t stride) {
  const hn::RebindToFloat<DI> df;
  const auto* numbers = static_cast<const uint8_t*>(rows.numbers);
  for (int64_t first = 0; first < n_vectors; first += kVectors) {
    for (int64_t r = 0; r < rows.n_rows; r += kTileRows<Numbers>) {
      DotTile<Numbers, GroupDot, kTileRows<Numbers>>(
          numbers + r * QuantizedBytes(d, Numbers::kWidth), rows.sums + r, vectors + first, d,
          [&](int vector, int64_t part, const VI(&dot)[kTileRows<Numbers>][kTileVectors]) HWY_ATTR {
            for (int i = 0; i < kTileRows<Numbers>; ++i) {
              for (int v = 0; v < kTileVectors; ++v) {
                const int64_t at = first + vector + v;
                const auto score = hn::Mul(hn::ConvertTo(df, dot[i][v]), hn::Set(df, scales[at]));
                hn::Store(score, df, scores + (r + i) * stride + at * kMaxLanes + part);
              }
            }
          });
    }
  }
}

template <class Numbers>
void ScanAs(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d, const int32_t* thresholds,
            uint64_t* survivors) {
  WithQueryDot<Numbers>(
      [&](auto dot) HWY_ATTR { ScanWith<Numbers, decltype(dot)>(rows, panels, n_blocks, d, thresholds, survivors); });
}

template <class Numbers>
void SampleAs(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales, int64_t n_vectors,
              int64_t d, float* scores, int64_t stride) {
  WithQueryDot<Numbers>([&](auto dot) HWY_ATTR {
    SampleWith<Numbers, decltype(dot)>(rows, vectors, scales, n_vectors, d, scores, stride);
  });
}

void ScanIntegersSimd(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                      const int32_t* thresholds, uint64_t* survivors) {
  QuantizedRows left = rows;
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64
  const int64_t n_done = ScanRowsOnAmx(rows, panels, n_blocks, d, thresholds, survivors);
  left = rows.From(n_done, d);
  thresholds += n_done;
  survivors += n_done * kSurvivorStride;
#endif
  WithNumbers(left.width,
              [&](auto numbers) { ScanAs<decltype(numbers)>(left, panels, n_blocks, d, thresholds, survivors); });
}

void SampleIntegersSimd(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales,
                        int64_t n_vectors, int64_t d, float* scores, int64_t stride) {
  WithNumbers(rows.width,
              [&](auto numbers) { SampleAs<decltype(numbers)>(rows, vectors, scales, n_vectors, d, scores, stride); });
}

// Between what topk_scan_integers_bench and topk_scan_bench measured on Zen 4 and on Sapphire Rapids.
double CostOfProductSimd(NumberWidth width) {
  const bool is_int8 = width == NumberWidth::kInt8;
#if HWY_TARGET <= HWY_AVX3
#if HWY_ARCH_X86_64
  if (is_int8 && UsesAmx()) return 0.1;
#endif
  if (HasVnni()) return is_int8 ? 0.25 : 0.5;
#endif
  return HWY_TARGET == HWY_SSE4 ? (is_int8 ? 0.4 : 0.55) : is_int8 ? 0.7 : 0.8;
}

// As topk_attention_bench measured it on Sapphire Rapids: products in f32 take the longer the shorter vectors are.
double CostOfIntegerRowSimd() {
  constexpr double kKeysPerLane = 30;
  return kKeysPerLane * static_cast<double>(hn::Lanes(hn::RebindToFloat<DI>()));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(FindThresholdsSimd);
HWY_EXPORT(ScanIntegersSimd);
HWY_EXPORT(SampleIntegersSimd);
HWY_EXPORT(CostOfProductSimd);
HWY_EXPORT(CostOfIntegerRowSimd);

void FindThresholds(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                    int32_t* thresholds) {
  HWY_DYNAMIC_DISPATCH(FindThresholdsSimd)(rows, n_rows, blocks, n_blocks, thresholds);
}

void ScanIntegers(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                  const int32_t* thresholds, uint64_t* survivors) {
  HWY_DYNAMIC_DISPATCH(ScanIntegersSimd)(rows, panels, n_blocks, d, thresholds, survivors);
}

void SampleIntegers(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales, int64_t n_vectors,
                    int64_t d, float* scores, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(SampleIntegersSimd)(rows, vectors, scales, n_vectors, d, scores, stride);
}

double CostOfProduct(NumberWidth width) { return HWY_DYNAMIC_DISPATCH(CostOfProductSimd)(width); }

double CostOfIntegerRow() { return HWY_DYNAMIC_DISPATCH(CostOfIntegerRowSimd)(); }

}  // namespace topk
#endif  // HWY_ONCE
