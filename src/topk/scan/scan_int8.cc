#include "topk/scan/scan_int8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/scan/scan_int8.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

#include "topk/scan/dot_int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DI = DDot;
using VI = VDot;

constexpr float kThresholdLimit = 0x1p30F;            // beyond every dot
constexpr int64_t kGroupBytes = kBlockKeys * kGroup;  // from one group of a panel to the next
constexpr int kVectorBytes = kMaxLanes * kGroup;      // kMaxLanes keys of a group
constexpr int kVectors = kBlockKeys / kMaxLanes;      // of kMaxLanes keys, which are one or more SIMD vectors

// use(part, dot): the dots of kRows rows with the keys from lane `part` on of kVectors vectors of kMaxLanes keys.
template <class FourDot, int kRows, class Use>
HWY_INLINE void DotTile(const int8_t* HWY_RESTRICT rows, const int32_t* HWY_RESTRICT sums, const uint8_t* const* keys,
                        int64_t d, Use&& use) {
  const DI di;
  const auto n = static_cast<int64_t>(hn::Lanes(di));
  const int64_t row_bytes = GroupsOf(d) * kGroup;
  for (int64_t part = 0; part < kMaxLanes; part += n) {
    VI dot[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) dot[r][v] = hn::Set(di, -128 * sums[r]);
    }
    for (int64_t g = 0; g < GroupsOf(d); ++g) {
      VI key[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        key[v] = hn::Load(di, reinterpret_cast<const int32_t*>(keys[v] + g * kGroupBytes) + part);
      }
      for (int r = 0; r < kRows; ++r) {
        int32_t group = 0;
        std::memcpy(&group, rows + r * row_bytes + g * kGroup, sizeof group);
        const VI query = hn::Set(di, group);
        for (int v = 0; v < kVectors; ++v) dot[r][v] = FourDot::Add(dot[r][v], key[v], query);
      }
    }
    use(part, dot);
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
      hn::Store(hn::Sub(hn::ConvertTo(di, hn::Ceil(clamped)), hn::Set(di, 1)), di, thresholds + b * kInt8Stride + r);
    }
  }
}

// Bits of a block's keys for kRows rows.
template <class FourDot, int kRows>
HWY_INLINE void ScanRows(const int8_t* HWY_RESTRICT numbers, const int32_t* HWY_RESTRICT sums,
                         const uint8_t* const* keys, int64_t d, const int32_t* HWY_RESTRICT below,
                         uint64_t* HWY_RESTRICT bits) {
  const DI di;
  DotTile<FourDot, kRows>(numbers, sums, keys, d, [&](int64_t part, const VI(&dot)[kRows][kVectors]) HWY_ATTR {
    for (int i = 0; i < kRows; ++i) {
      // v is the inner loop: bits of the first part come first
      for (int v = 0; v < kVectors; ++v) {
        SetBits(hn::Gt(dot[i][v], hn::Set(di, below[i])), v * kMaxLanes + part, bits[i]);
      }
    }
  });
}

// The last rows, fewer than fill the registers.
template <class FourDot, int kRows>
HWY_INLINE void ScanLastRows(int64_t n_rows, const int8_t* numbers, const int32_t* sums, const uint8_t* const* keys,
                             int64_t d, const int32_t* below, uint64_t* bits) {
  if (n_rows == kRows) return ScanRows<FourDot, kRows>(numbers, sums, keys, d, below, bits);
  if constexpr (kRows > 1) ScanLastRows<FourDot, kRows - 1>(n_rows, numbers, sums, keys, d, below, bits);
}

template <class FourDot>
HWY_INLINE void ScanWith(const QuantizedRows& rows, const uint8_t* HWY_RESTRICT panels, int64_t n_blocks, int64_t d,
                         const int32_t* HWY_RESTRICT thresholds, uint64_t* HWY_RESTRICT survivors) {
  // As even as can be: 4 and 3 rows keep more sums in flight than 6 and 1.
  const int64_t n_tiles = (rows.n_rows + kInt8Rows - 1) / kInt8Rows;
  for (int64_t b = 0; b < n_blocks; ++b) {
    const uint8_t* keys[kVectors];
    for (int v = 0; v < kVectors; ++v) keys[v] = panels + b * QuantizedPanelBytes(d) + v * kVectorBytes;
    for (int64_t t = 0; t < n_tiles; ++t) {
      const int64_t r = t * rows.n_rows / n_tiles;
      const int64_t end = (t + 1) * rows.n_rows / n_tiles;
      ScanLastRows<FourDot, kInt8Rows>(end - r, rows.numbers + r * GroupsOf(d) * kGroup, rows.sums + r, keys, d,
                                       thresholds + b * kInt8Stride + r, survivors + b * kInt8Stride + r);
    }
  }
}

template <class FourDot>
HWY_INLINE void SampleWith(const QuantizedRows& rows, const uint8_t* const* vectors, const float* HWY_RESTRICT scales,
                           int64_t n_vectors, int64_t d, float* HWY_RESTRICT scores, int64_t stride) {
  const hn::RebindToFloat<DI> df;
  for (int64_t first = 0; first < n_vectors; first += kVectors) {
    for (int64_t r = 0; r < rows.n_rows; r += kInt8Rows) {
      DotTile<FourDot, kInt8Rows>(rows.numbers + r * GroupsOf(d) * kGroup, rows.sums + r, vectors + first, d,
                                  [&](int64_t part, const VI(&dot)[kInt8Rows][kVectors]) HWY_ATTR {
                                    for (int i = 0; i < kInt8Rows; ++i) {
                                      float* out = scores + (r + i) * stride + first * kMaxLanes + part;
                                      for (int v = 0; v < kVectors; ++v) {
                                        const auto scale = hn::Set(df, scales[first + v]);
                                        hn::Store(hn::Mul(hn::ConvertTo(df, dot[i][v]), scale), df,
                                                  out + v * kMaxLanes);
                                      }
                                    }
                                  });
    }
  }
}

void ScanInt8Simd(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                  const int32_t* thresholds, uint64_t* survivors) {
  WithFourDot([&](auto dot) HWY_ATTR { ScanWith<decltype(dot)>(rows, panels, n_blocks, d, thresholds, survivors); });
}

void SampleInt8Simd(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales, int64_t n_vectors,
                    int64_t d, float* scores, int64_t stride) {
  WithFourDot([&](auto dot)
                  HWY_ATTR { SampleWith<decltype(dot)>(rows, vectors, scales, n_vectors, d, scores, stride); });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(FindThresholdsSimd);
HWY_EXPORT(ScanInt8Simd);
HWY_EXPORT(SampleInt8Simd);

void FindThresholds(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                    int32_t* thresholds) {
  HWY_DYNAMIC_DISPATCH(FindThresholdsSimd)(rows, n_rows, blocks, n_blocks, thresholds);
}

void ScanInt8(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d, const int32_t* thresholds,
              uint64_t* survivors) {
  HWY_DYNAMIC_DISPATCH(ScanInt8Simd)(rows, panels, n_blocks, d, thresholds, survivors);
}

void SampleInt8(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales, int64_t n_vectors,
                int64_t d, float* scores, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(SampleInt8Simd)(rows, vectors, scales, n_vectors, d, scores, stride);
}

}  // namespace topk
#endif  // HWY_ONCE
