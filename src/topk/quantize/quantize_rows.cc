#include "topk/quantize/quantize_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/quantize/quantize_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>

#include "topk/attention.h"
#include "topk/load/load-inl.h"
#include "topk/load/transpose-inl.h"
#include "topk/quantize/fp16-inl.h"
#include "topk/quantize/quantize_scale.h"
#include "topk/scan/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = DSquare;
using DI = hn::RebindToSigned<DF>;
using VF = VSquare;
using VI = hn::Vec<DI>;
constexpr int64_t kLanes = kSquareLanes;
constexpr int64_t kStep = kRowChunk / kGroup;  // from one dimension of a group to the next

// Adding it rounds a small number to an integer, which then stands in the low bits: NaN and numbers out of range leave
// other bits above the lowest eight. Its own lowest sixteen are zero.
constexpr float kRounder = 0x1.8p23F;
constexpr int32_t kRounderBits = std::bit_cast<int32_t>(kRounder);

// Numbers i + 8 m of a row, m < 4, as bytes m of 32-bit words; factor[m], shift[m]: what takes them there. Bits of
// `strange` are set if one of them is no byte.
template <class Load>
HWY_INLINE VI QuantizeWord(const VF* HWY_RESTRICT factor, const VF* HWY_RESTRICT shift, VI& strange, Load&& load) {
  const DI di;
  VI bits[kGroup];
  for (int64_t m = 0; m < kGroup; ++m) {
    bits[m] = hn::BitCast(di, hn::MulAdd(load(m * kStep), factor[m], shift[m]));
    strange = hn::Or(strange, hn::Xor(bits[m], hn::Set(di, kRounderBits)));
  }
  // The rounder's bits are left over from the first two; the others are shifted out.
  constexpr auto kLeft =
      static_cast<int32_t>(static_cast<uint32_t>(kRounderBits) + (static_cast<uint32_t>(kRounderBits) << 8));
  const VI low = hn::Add(bits[0], hn::ShiftLeft<8>(bits[1]));
  const VI high = hn::Add(hn::ShiftLeft<16>(bits[2]), hn::ShiftLeft<24>(bits[3]));
  return hn::Add(hn::Sub(low, hn::Set(di, kLeft)), high);
}

// The largest |n|^2 of the panel's keys.
template <class FourDot>
HWY_INLINE int32_t LargestSquares(const uint8_t* HWY_RESTRICT panel, int64_t n_groups) {
  const DDot di;
  const auto n = static_cast<int64_t>(hn::Lanes(di));
  const auto offset = hn::Set(di, static_cast<int32_t>(0x80808080U));
  auto largest = hn::Zero(di);
  for (int64_t j = 0; j < kBlockKeys; j += n) {
    auto products = hn::Zero(di);  // (n + 128) n
    auto sums = hn::Zero(di);      // n
    for (int64_t g = 0; g < n_groups; ++g) {
      const auto bytes = hn::Load(di, reinterpret_cast<const int32_t*>(panel) + g * kBlockKeys + j);
      const auto numbers = hn::Xor(bytes, offset);
      products = FourDot::Add(products, bytes, numbers);
      sums = FourDot::Add(sums, hn::Set(di, 0x01010101), numbers);
    }
    largest = hn::Max(largest, hn::Sub(products, hn::ShiftLeft<7>(sums)));
  }
  return hn::GetLane(hn::MaxOfLanes(di, largest));
}

// The panel without the bytes of keys that are not there; false if a number does not fit.
template <DataType kType>
bool QuantizeRowsOfType(const KeyBlock& block, int64_t d, const float* HWY_RESTRICT factor,
                        const float* HWY_RESTRICT centre, uint8_t* HWY_RESTRICT panel) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64
  if (Halves halves; kType == DataType::kF16 && UsesFp16() && ToHalves(d, factor, centre, halves)) {
    return QuantizeHalves(block, d, halves, panel);
  }
#endif
  const DF df;
  const DI di;
  const int64_t count = block.count;
  const int64_t padded = PadToRowChunks(d);
  HWY_ALIGN float shift[PadToRowChunks(kMaxHeadSize)];
  const VF base = hn::Set(df, kRounder + static_cast<float>(kByteOffset));
  for (int64_t i = 0; i < padded; i += kLanes) hn::Store(hn::Sub(base, hn::Load(df, centre + i)), df, shift + i);
  VI strange = hn::Zero(di);
  for (int64_t j = 0; j < count; j += kLanes) {
    const FetchAhead ahead = block.ahead.Part(j / kLanes, kBlockKeys / kLanes);
    PrefetchBytes<2>(ahead.begin, ahead.bytes);
    const uint8_t* row[kLanes];
    for (int64_t m = 0; m < kLanes; ++m) {
      row[m] = block.keys.Row(0, block.first + std::min(j + m, count - 1), 0);  // past the end the last key stands in
    }
    // load(key, i): kLanes numbers of a key from i on.
    const auto quantize = [&](int64_t i, auto&& load) HWY_ATTR {
      VF factors[kGroup];
      VF shifts[kGroup];
      for (int64_t m = 0; m < kGroup; ++m) {
        factors[m] = hn::Load(df, factor + i + m * kStep);
        shifts[m] = hn::Load(df, shift + i + m * kStep);
      }
      VF words[kLanes];
      for (int64_t m = 0; m < kLanes; ++m) {
        words[m] = hn::BitCast(
            df, QuantizeWord(factors, shifts, strange, [&](int64_t from) HWY_ATTR { return load(row[m], i + from); }));
      }
      TransposeSquare(words);
      const int64_t group = i / kRowChunk * kStep + i % kStep;
      for (int64_t m = 0; m < kLanes; ++m) {
        hn::Store(words[m], df, reinterpret_cast<float*>(panel) + (group + m) * kBlockKeys + j);
      }
    };
    int64_t chunk = 0;
    for (; chunk + kRowChunk <= d; chunk += kRowChunk) {
      for (int64_t i = chunk; i < chunk + kStep; i += kLanes) {
        quantize(i, [&](const uint8_t* key, int64_t at) HWY_ATTR { return RowLoader<kType>::Load(df, key, at); });
      }
    }
    for (int64_t i = chunk; chunk < d && i < chunk + kStep; i += kLanes) {
      quantize(i, [&](const uint8_t* key, int64_t at) HWY_ATTR {
        if (at + kLanes <= d) return RowLoader<kType>::Load(df, key, at);
        return at < d ? LoadTail<kType>(df, key, at, d - at) : hn::Zero(df);
      });
    }
  }
  return hn::AllFalse(di, hn::Ne(hn::ShiftRight<8>(strange), hn::Zero(di)));
}

int32_t QuantizeRowsSimd(const KeyBlock& block, int64_t d, const float* factor, const float* centre, uint8_t* panel) {
  bool fits = false;
  WithType(block.keys.type, [&](auto type) { fits = QuantizeRowsOfType<type>(block, d, factor, centre, panel); });
  if (!fits) return -1;
  const int64_t count = block.count;
  const int64_t n_groups = PadToRowChunks(d) / kGroup;
  for (int64_t g = 0; g < n_groups && count < kBlockKeys; ++g) {
    std::fill(panel + (g * kBlockKeys + count) * kGroup, panel + (g + 1) * kBlockKeys * kGroup, uint8_t{kByteOffset});
  }
  return WithDot<Int8>([&](auto dot) HWY_ATTR { return LargestSquares<decltype(dot)>(panel, n_groups); });
}

void TrackRangesSimd(const float* HWY_RESTRICT panel, int64_t d, float* HWY_RESTRICT low, float* HWY_RESTRICT high) {
  const hn::CappedTag<float, kMaxLanes> df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < kBlockKeys; j += n) {
      const auto x = hn::Load(df, panel + i * kBlockKeys + j);
      float* lowest = low + i * kMaxLanes + j % kMaxLanes;
      float* highest = high + i * kMaxLanes + j % kMaxLanes;
      hn::Store(hn::Min(hn::Load(df, lowest), x), df, lowest);
      hn::Store(hn::Max(hn::Load(df, highest), x), df, highest);
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(QuantizeRowsSimd);
HWY_EXPORT(TrackRangesSimd);

int32_t QuantizeRows(const KeyBlock& block, int64_t d, const float* factor, const float* centre, uint8_t* panel) {
  return HWY_DYNAMIC_DISPATCH(QuantizeRowsSimd)(block, d, factor, centre, panel);
}

void TrackRanges(const float* panel, int64_t d, float* low, float* high) {
  HWY_DYNAMIC_DISPATCH(TrackRangesSimd)(panel, d, low, high);
}

}  // namespace topk
#endif  // HWY_ONCE
