#include "topk/scan/scan_q8.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/scan/scan_q8.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "topk/load/load-inl.h"
#include "topk/load/transpose-inl.h"
#include "topk/numeric.h"
#include "topk/registers-inl.h"
#include "topk/scan/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using VF = hn::Vec<hn::RebindToFloat<DDot>>;

constexpr int64_t kBlockGroups = kQ8BlockSize / kGroup;
constexpr int64_t kPanelGroupBytes = kBlockKeys * kGroup;  // from one group of a panel to the next
constexpr int32_t kOffsets = static_cast<int32_t>(0x80808080U);

// Rows and vectors of keys that are computed together: what the registers hold of two sums each.
constexpr int kRowsAtOnce = kHas32Registers ? 2 : 1;
constexpr int kVectorsAtOnce = 4;

// Upper bound of the largest |k|: the squares of a block are exact integers below 2^19.
template <class FourDot>
HWY_INLINE float LargestNorm(const Q8Panel& panel, int64_t d) {
  const DDot di;
  const hn::RebindToFloat<DDot> df;
  const auto n = static_cast<int64_t>(hn::Lanes(di));
  const VDot offsets = hn::Set(di, kOffsets);
  VF largest = hn::Zero(df);
  for (int64_t j = 0; j < kBlockKeys; j += n) {
    VF squares = hn::Zero(df);
    for (int64_t b = 0; b < d / kQ8BlockSize; ++b) {
      VDot products = hn::Zero(di);  // (n + 128) n
      VDot sums = hn::Zero(di);      // n
      for (int64_t g = b * kBlockGroups; g < (b + 1) * kBlockGroups; ++g) {
        const VDot bytes = hn::Load(di, reinterpret_cast<const int32_t*>(panel.numbers + g * kPanelGroupBytes) + j);
        const VDot numbers = hn::Xor(bytes, offsets);
        products = FourDot::Add(products, bytes, numbers);
        sums = FourDot::Add(sums, hn::Set(di, 0x01010101), numbers);
      }
      const VF scale = hn::Load(df, panel.scales + b * kBlockKeys + j);
      const VF of_block = hn::ConvertTo(df, hn::Sub(products, hn::ShiftLeft<7>(sums)));
      squares = hn::MulAdd(hn::Mul(scale, scale), of_block, squares);
    }
    // Max of a NaN and a number is either: a NaN is made to stay.
    largest = hn::IfThenElse(hn::Gt(largest, squares), largest, hn::Add(squares, hn::Sub(largest, largest)));
  }
  HWY_ALIGN float lanes[kMaxLanes];
  hn::Store(largest, df, lanes);
  float most = 0.0F;
  for (int64_t j = 0; j < n; ++j) most = lanes[j] > most || std::isnan(lanes[j]) ? lanes[j] : most;
  return std::sqrt(most) * (1.0F + 0x1p-16F);
}

float PackQ8Simd(const KeyBlock& block, int64_t d, const Q8Panel& panel) {
  const DSquare df;
  const hn::RebindToSigned<DSquare> di;
  const int64_t n_blocks = d / kQ8BlockSize;
  const auto offsets = hn::Set(di, kOffsets);
  HWY_ALIGN uint16_t halves[kMaxHeadSize / kQ8BlockSize * kBlockKeys];
  for (int64_t j = 0; j < block.count; j += kSquareLanes) {
    const FetchAhead ahead = block.ahead.Part(j / kSquareLanes, kBlockKeys / kSquareLanes);
    PrefetchBytes<2>(ahead.begin, ahead.bytes);
    const uint8_t* row[kSquareLanes];
    for (int64_t m = 0; m < kSquareLanes; ++m) {
      row[m] = block.keys.Row(0, block.first + std::min(j + m, block.count - 1), 0);  // past the end the last stands in
    }
    for (int64_t b = 0; b < n_blocks; ++b) {
      for (int64_t m = 0; m < kSquareLanes; ++m) {
        std::memcpy(halves + b * kBlockKeys + j + m, row[m] + b * kQ8BlockBytes, sizeof *halves);
      }
      for (int64_t g = 0; g < kBlockGroups; g += kSquareLanes) {
        VSquare words[kSquareLanes];
        for (int64_t m = 0; m < kSquareLanes; ++m) {
          const uint8_t* numbers = row[m] + b * kQ8BlockBytes + 2 + g * kGroup;
          words[m] = hn::LoadU(df, reinterpret_cast<const float*>(numbers));  // four int8 a lane
        }
        TransposeSquare(words);
        for (int64_t m = 0; m < kSquareLanes; ++m) {
          uint8_t* out = panel.numbers + (b * kBlockGroups + g + m) * kPanelGroupBytes + j * kGroup;
          hn::Store(hn::Xor(hn::BitCast(di, words[m]), offsets), di, reinterpret_cast<int32_t*>(out));
        }
      }
    }
  }
  for (int64_t b = 0; b < n_blocks; ++b) {
    const auto* row = reinterpret_cast<const uint8_t*>(halves + b * kBlockKeys);
    float* scales = panel.scales + b * kBlockKeys;
    for (int64_t j = 0; j < block.count; j += kSquareLanes) {
      hn::Store(RowLoader<DataType::kF16>::Load(df, row, j), df, scales + j);
    }
    std::fill(scales + block.count, scales + kBlockKeys, 0.0F);
  }
  if (block.count < kBlockKeys) {
    for (int64_t g = 0; g < d / kGroup; ++g) {
      std::fill(panel.numbers + g * kPanelGroupBytes + block.count * kGroup, panel.numbers + (g + 1) * kPanelGroupBytes,
                uint8_t{128});
    }
  }
  return WithDot<Int8>([&](auto dot) HWY_ATTR { return LargestNorm<decltype(dot)>(panel, d); });
}

HWY_INLINE VDot GroupOf(const int8_t* row, int64_t g) {
  int32_t group = 0;
  std::memcpy(&group, row + g * kGroup, sizeof group);
  return hn::Set(DDot(), group);
}

// Bits of kRows rows, from row r on.
template <class FourDot, int kRows>
HWY_INLINE void ScanRows(const Q8Rows& rows, int64_t r, const Q8Panel& panel, int64_t d,
                         const float* HWY_RESTRICT thresholds, uint64_t* HWY_RESTRICT survivors) {
  const DDot di;
  const hn::RebindToFloat<DDot> df;
  const auto n = static_cast<int64_t>(hn::Lanes(di));
  const int64_t n_blocks = d / kQ8BlockSize;
  uint64_t bits[kRows] = {};
  for (int64_t j = 0; j < kBlockKeys; j += kVectorsAtOnce * n) {
    VF score[kRows][kVectorsAtOnce];
    for (int i = 0; i < kRows; ++i) {
      for (int v = 0; v < kVectorsAtOnce; ++v) score[i][v] = hn::Zero(df);
    }
    for (int64_t b = 0; b < n_blocks; ++b) {
      VDot high[kRows][kVectorsAtOnce];
      VDot low[kRows][kVectorsAtOnce];
      for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kVectorsAtOnce; ++v) {
          high[i][v] = hn::Set(di, -128 * rows.high_sums[(r + i) * n_blocks + b]);
          low[i][v] = hn::Set(di, -128 * rows.low_sums[(r + i) * n_blocks + b]);
        }
      }
      for (int64_t g = b * kBlockGroups; g < (b + 1) * kBlockGroups; ++g) {
        const auto* numbers = reinterpret_cast<const int32_t*>(panel.numbers + g * kPanelGroupBytes) + j;
        VDot key[kVectorsAtOnce];
        for (int v = 0; v < kVectorsAtOnce; ++v) key[v] = hn::Load(di, numbers + v * n);
        for (int i = 0; i < kRows; ++i) {
          const VDot h = GroupOf(rows.high + (r + i) * d, g);
          const VDot l = GroupOf(rows.low + (r + i) * d, g);
          for (int v = 0; v < kVectorsAtOnce; ++v) {
            high[i][v] = FourDot::Add(high[i][v], key[v], h);
            low[i][v] = FourDot::Add(low[i][v], key[v], l);
          }
        }
      }
      for (int v = 0; v < kVectorsAtOnce; ++v) {
        const VF scale = hn::Load(df, panel.scales + b * kBlockKeys + j + v * n);
        for (int i = 0; i < kRows; ++i) {
          const VF dot = hn::ConvertTo(df, hn::Add(hn::ShiftLeft<7>(high[i][v]), low[i][v]));
          score[i][v] = hn::MulAdd(dot, scale, score[i][v]);
        }
      }
    }
    for (int i = 0; i < kRows; ++i) {
      const VF threshold = hn::Set(df, thresholds[r + i]);
      for (int v = 0; v < kVectorsAtOnce; ++v) {
        uint8_t some[8] = {};
        hn::StoreMaskBits(df, hn::Not(hn::Lt(score[i][v], threshold)), some);  // NaN is not less
        uint16_t word = 0;
        std::memcpy(&word, some, sizeof word);
        bits[i] |= uint64_t{word} << (j + v * n);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) survivors[(r + i) * kSurvivorStride] = bits[i];
}

template <class FourDot>
HWY_INLINE void ScanWith(const Q8Rows& rows, const Q8Panel& panel, int64_t d, const float* thresholds,
                         uint64_t* survivors) {
  int64_t r = 0;
  for (; r + kRowsAtOnce <= rows.n_rows; r += kRowsAtOnce) {
    ScanRows<FourDot, kRowsAtOnce>(rows, r, panel, d, thresholds, survivors);
  }
  for (; r < rows.n_rows; ++r) ScanRows<FourDot, 1>(rows, r, panel, d, thresholds, survivors);
}

void ScanQ8Simd(const Q8Rows& rows, const Q8Panel& panel, int64_t d, const float* thresholds, uint64_t* survivors) {
  WithQueryDot<Int8>([&](auto dot) HWY_ATTR { ScanWith<decltype(dot)>(rows, panel, d, thresholds, survivors); });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(PackQ8Simd);
HWY_EXPORT(ScanQ8Simd);

float PackQ8(const KeyBlock& block, int64_t d, const Q8Panel& panel) {
  return HWY_DYNAMIC_DISPATCH(PackQ8Simd)(block, d, panel);
}

void ScanQ8(const Q8Rows& rows, const Q8Panel& panel, int64_t d, const float* thresholds, uint64_t* survivors) {
  HWY_DYNAMIC_DISPATCH(ScanQ8Simd)(rows, panel, d, thresholds, survivors);
}

}  // namespace topk
#endif  // HWY_ONCE
