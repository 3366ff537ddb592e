#include "topk/quantize/quantize.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/quantize/quantize.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "topk/quantize/quantize_scale.h"
#include "topk/scan/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;

void TransformPanelSimd(float* HWY_RESTRICT panel, int64_t d, const float* HWY_RESTRICT shift,
                        const float* HWY_RESTRICT factor, float gain) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  for (int64_t i = 0; i < d; ++i) {
    const VF mean = hn::Set(df, shift == nullptr ? 0.0F : shift[i]);
    const VF scale = hn::Set(df, factor[i] * gain);
    float* row = panel + i * kBlockKeys;
    for (int64_t j = 0; j < kBlockKeys; j += n) {
      hn::Store(hn::Mul(hn::Sub(hn::Load(df, row + j), mean), scale), df, row + j);
    }
  }
  const int64_t h = HadamardSize(d);
  for (int64_t half = 1; half < h; half *= 2) {
    for (int64_t i = 0; i < d; ++i) {
      if ((i & half) != 0) continue;
      float* low = panel + i * kBlockKeys;
      float* high = low + half * kBlockKeys;
      for (int64_t j = 0; j < kBlockKeys; j += n) {
        const VF a = hn::Load(df, low + j);
        const VF b = hn::Load(df, high + j);
        hn::Store(hn::Add(a, b), df, low + j);
        hn::Store(hn::Sub(a, b), df, high + j);
      }
    }
  }
}

struct ColumnFacts {
  VF norm2;   // squares of the numbers
  VF error2;  // squares of the residuals
  VI sum;     // of the integers
};

// The vectors of a panel from column j on, rounded to multiples of `scale`: emit(g, word) takes the integers of group
// g, to each of which `offset` is added.
template <class Numbers, class Emit>
HWY_INLINE ColumnFacts QuantizeColumns(const float* HWY_RESTRICT panel, int64_t d, int64_t j, VF scale, VF inverse,
                                       int32_t offset, Emit&& emit) {
  const DF df;
  const DI di;
  constexpr int kBits = 32 / Numbers::kPerGroup;
  const VI low_bits = hn::Set(di, (1 << kBits) - 1);
  ColumnFacts facts{hn::Zero(df), hn::Zero(df), hn::Zero(di)};
  for (int64_t g = 0; g < GroupsOf(d, Numbers::kWidth); ++g) {
    VI word = hn::Zero(di);
    for (int64_t m = 0; m < Numbers::kPerGroup; ++m) {
      const int64_t i = g * Numbers::kPerGroup + m;
      const VF y = i < d ? hn::Load(df, panel + i * kBlockKeys + j) : hn::Zero(df);
      const VI number = hn::NearestInt(hn::Mul(y, inverse));
      const VF residual = hn::Sub(y, hn::Mul(hn::ConvertTo(df, number), scale));
      facts.norm2 = hn::MulAdd(y, y, facts.norm2);
      facts.error2 = hn::MulAdd(residual, residual, facts.error2);
      facts.sum = hn::Add(facts.sum, number);
      const VI bits = hn::And(hn::Add(number, hn::Set(di, offset)), low_bits);
      word = hn::Or(word, hn::ShiftLeftSame(bits, static_cast<int>(kBits * m)));
    }
    emit(g, word);
  }
  return facts;
}

// What ScaleOf takes, of each column.
template <class Numbers>
HWY_INLINE VF ExtentOfColumns(const float* HWY_RESTRICT panel, int64_t d, int64_t j) {
  const DF df;
  VF extent = hn::Zero(df);
  for (int64_t i = 0; i < d; ++i) {
    const VF y = hn::Load(df, panel + i * kBlockKeys + j);
    if constexpr (kScalesByNorm<Numbers>) {
      extent = hn::MulAdd(y, y, extent);
    } else {
      extent = hn::Max(extent, hn::Abs(y));
    }
  }
  return extent;
}

template <class Numbers>
BlockFacts QuantizeKeysAs(const float* HWY_RESTRICT panel, int64_t d, uint8_t* HWY_RESTRICT out) {
  const DF df;
  const DI di;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  VF largest = hn::Zero(df);
  for (int64_t j = 0; j < kBlockKeys; j += n) largest = hn::Max(largest, ExtentOfColumns<Numbers>(panel, d, j));
  const float scale = ScaleOf<Numbers>(hn::GetLane(hn::MaxOfLanes(df, largest)));
  VF norm2 = hn::Zero(df);
  VF error2 = hn::Zero(df);
  VF total2 = hn::Zero(df);
  for (int64_t j = 0; j < kBlockKeys; j += n) {
    const auto emit = [&](int64_t g, VI word)
                          HWY_ATTR { hn::Store(word, di, reinterpret_cast<int32_t*>(out) + g * kBlockKeys + j); };
    const ColumnFacts facts =
        QuantizeColumns<Numbers>(panel, d, j, hn::Set(df, scale), hn::Set(df, 1.0F / scale), Numbers::kKeyOffset, emit);
    norm2 = hn::Max(norm2, facts.norm2);
    error2 = hn::Max(error2, facts.error2);
    total2 = hn::Add(total2, facts.norm2);
  }
  // A vector that overflowed while it was transformed has no bound. Max may lose its NaN, a sum does not.
  if (std::isnan(hn::GetLane(hn::SumOfLanes(df, total2)))) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return {scale, kInfinity, kInfinity};
  }
  return {scale, NormOf(hn::GetLane(hn::MaxOfLanes(df, norm2))), NormOf(hn::GetLane(hn::MaxOfLanes(df, error2)))};
}

template <class Numbers>
void QuantizeQueriesAs(const float* HWY_RESTRICT panel, int64_t d, uint8_t* HWY_RESTRICT out, const QueryFacts& facts) {
  const DF df;
  const DI di;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t stride = QuantizedBytes(d, Numbers::kWidth);
  for (int64_t j = 0; j < kBlockKeys; j += n) {
    HWY_ALIGN float scale[kMaxLanes];
    HWY_ALIGN float inverse[kMaxLanes];
    hn::Store(ExtentOfColumns<Numbers>(panel, d, j), df, scale);
    for (int64_t lane = 0; lane < n; ++lane) {
      scale[lane] = ScaleOf<Numbers>(scale[lane], LargestQueryInt8Here());
      inverse[lane] = 1.0F / scale[lane];
    }
    const auto emit = [&](int64_t g, VI word) HWY_ATTR {
      HWY_ALIGN int32_t words[kMaxLanes];
      hn::Store(word, di, words);
      for (int64_t lane = 0; lane < n; ++lane) {
        std::memcpy(out + (j + lane) * stride + g * kGroupBytes, words + lane, kGroupBytes);
      }
    };
    const ColumnFacts columns =
        QuantizeColumns<Numbers>(panel, d, j, hn::Load(df, scale), hn::Load(df, inverse), 0, emit);
    hn::StoreU(hn::Load(df, scale), df, facts.scale + j);
    hn::StoreU(columns.norm2, df, facts.norm + j);
    hn::StoreU(columns.error2, df, facts.error + j);
    hn::StoreU(columns.sum, di, facts.sum + j);
  }
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    facts.norm[j] = NormOf(facts.norm[j]);
    facts.error[j] = NormOf(facts.error[j]);
  }
}

BlockFacts QuantizeKeysSimd(NumberWidth width, const float* panel, int64_t d, uint8_t* out) {
  return WithNumbers(width, [&](auto numbers) { return QuantizeKeysAs<decltype(numbers)>(panel, d, out); });
}

void QuantizeQueriesSimd(NumberWidth width, const float* panel, int64_t d, uint8_t* out, const QueryFacts& facts) {
  WithNumbers(width, [&](auto numbers) { QuantizeQueriesAs<decltype(numbers)>(panel, d, out, facts); });
}

int32_t LargestQueryInt8Simd() { return LargestQueryInt8Here(); }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(TransformPanelSimd);
HWY_EXPORT(QuantizeKeysSimd);
HWY_EXPORT(QuantizeQueriesSimd);
HWY_EXPORT(LargestQueryInt8Simd);

int32_t LargestQueryInt8() { return HWY_DYNAMIC_DISPATCH(LargestQueryInt8Simd)(); }

int64_t HadamardSize(int64_t d) { return std::min<int64_t>(d & -d, 512); }

void TransformPanel(float* panel, int64_t d, const float* shift, const float* factor, float gain) {
  HWY_DYNAMIC_DISPATCH(TransformPanelSimd)(panel, d, shift, factor, gain);
}

BlockFacts QuantizeKeys(NumberWidth width, const float* panel, int64_t d, uint8_t* out) {
  return HWY_DYNAMIC_DISPATCH(QuantizeKeysSimd)(width, panel, d, out);
}

void QuantizeQueries(NumberWidth width, const float* panel, int64_t d, uint8_t* out, const QueryFacts& facts) {
  HWY_DYNAMIC_DISPATCH(QuantizeQueriesSimd)(width, panel, d, out, facts);
}

}  // namespace topk
#endif  // HWY_ONCE
