#include "topk/select/select.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/select/select.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "topk/load/pack.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using DI = hn::RebindToSigned<DF>;

int64_t FilterSimd(const float* HWY_RESTRICT scores, float floor, KeyIndex first_key, float* HWY_RESTRICT out_scores,
                   KeyIndex* HWY_RESTRICT out_keys) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto least = hn::Set(df, floor);
#if HWY_TARGET <= HWY_AVX3
  const DI di;
  // Iota with a variable start is built in memory, number by number; with a constant one it is a constant.
  const auto lane = hn::Iota(di, 0);
#endif
  constexpr int kVectors = 4;  // looked at together: most have no key that passes, and the branch costs more than they
  int64_t kept = 0;
  for (int64_t j = 0; j < kBlockKeys; j += kVectors * n) {
    hn::Vec<DF> s[kVectors];
    auto largest = s[0] = hn::Load(df, scores + j);
    for (int v = 1; v < kVectors; ++v) {
      s[v] = hn::Load(df, scores + j + v * n);
      largest = hn::Max(largest, s[v]);
    }
    if (hn::AllFalse(df, hn::Ge(largest, least))) continue;
    for (int v = 0; v < kVectors; ++v) {
      const auto passes = hn::Ge(s[v], least);
#if HWY_TARGET <= HWY_AVX3
      const auto keys = hn::Add(lane, hn::Set(di, first_key + static_cast<KeyIndex>(j + v * n)));
      // Compress and a whole store: compressing stores are microcoded on some CPUs.
      hn::StoreU(hn::Compress(s[v], passes), df, out_scores + kept);
      hn::StoreU(hn::Compress(keys, hn::RebindMask(di, passes)), di, out_keys + kept);
      kept += static_cast<int64_t>(hn::CountTrue(df, passes));
#else
      uint8_t bits[8] = {};
      hn::StoreMaskBits(df, passes, bits);
      for (unsigned left = bits[0]; left != 0; left &= left - 1) {
        const int64_t passing = j + v * n + std::countr_zero(left);
        out_scores[kept] = scores[passing];
        out_keys[kept++] = first_key + static_cast<KeyIndex>(passing);
      }
#endif
    }
  }
  return kept;
}

int64_t CompactSimd(float floor, int64_t count, float* scores, KeyIndex* keys) {
  const DF df;
  const DI di;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto least = hn::Set(df, floor);
  hn::StoreU(hn::Set(df, -std::numeric_limits<float>::infinity()), df, scores + count);
  int64_t kept = 0;
  for (int64_t j = 0; j < count; j += n) {  // kept <= j: what is overwritten has been read
    const auto s = hn::LoadU(df, scores + j);
    const auto key = hn::LoadU(di, keys + j);
    const auto passes = hn::Ge(s, least);
    hn::StoreU(hn::Compress(s, passes), df, scores + kept);
    hn::StoreU(hn::Compress(key, hn::RebindMask(di, passes)), di, keys + kept);
    kept += static_cast<int64_t>(hn::CountTrue(df, passes));
  }
  return kept;
}

// Floats in the order of these integers, so that halfway between two floats is a float.
HWY_INLINE int32_t ToOrdered(float x) {
  const auto bits = std::bit_cast<int32_t>(x);
  return bits < 0 ? bits ^ 0x7FFFFFFF : bits;
}
HWY_INLINE float FromOrdered(int32_t order) { return std::bit_cast<float>(order < 0 ? order ^ 0x7FFFFFFF : order); }

HWY_INLINE int64_t CountAtLeast(const float* HWY_RESTRICT scores, int64_t count, float floor) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto least = hn::Set(df, floor);
  size_t total = 0;
  for (int64_t j = 0; j < count; j += n) total += hn::CountTrue(df, hn::Ge(hn::Load(df, scores + j), least));
  return static_cast<int64_t>(total);
}

HWY_INLINE float SmallestAtLeast(const float* HWY_RESTRICT scores, int64_t count, float floor) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto least = hn::Set(df, floor);
  const auto infinity = hn::Set(df, std::numeric_limits<float>::infinity());
  auto smallest = infinity;
  for (int64_t j = 0; j < count; j += n) {
    const auto s = hn::Load(df, scores + j);
    smallest = hn::Min(smallest, hn::IfThenElse(hn::Ge(s, least), s, infinity));
  }
  return hn::GetLane(hn::MinOfLanes(df, smallest));
}

// A floor that `least` to `most` scores reach; where ties allow none, the highest that at least `least` reach.
float FloorForSimd(float* HWY_RESTRICT scores, int64_t count, int64_t least, int64_t most) {
  // Halving values finds the floor of most distributions in log2(count) steps; halving floats' order always ends.
  constexpr int kStepsByValue = 16;
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  hn::StoreU(hn::Set(df, -std::numeric_limits<float>::infinity()), df, scores + count);
  auto largest = hn::Load(df, scores);
  for (int64_t j = n; j < count; j += n) largest = hn::Max(largest, hn::Load(df, scores + j));

  // At least `least` scores reach `low`, fewer reach `high`.
  int64_t low = ToOrdered(SmallestAtLeast(scores, count, -std::numeric_limits<float>::max()));
  int64_t high = int64_t{ToOrdered(hn::GetLane(hn::MaxOfLanes(df, largest)))} + 1;
  for (int step = 0; high - low > 1; ++step) {
    int64_t middle = low + (high - low) / 2;
    if (step < kStepsByValue) {
      const float value =
          0.5F * FromOrdered(static_cast<int32_t>(low)) + 0.5F * FromOrdered(static_cast<int32_t>(high - 1));
      middle = std::clamp<int64_t>(ToOrdered(value), low + 1, high - 1);
    }
    const float floor = FromOrdered(static_cast<int32_t>(middle));
    const int64_t reached = CountAtLeast(scores, count, floor);
    if (reached >= least && reached <= most) return floor;
    (reached > most ? low : high) = middle;
  }
  return FromOrdered(static_cast<int32_t>(low));
}

float KthLargestSimd(float* HWY_RESTRICT scores, int64_t count, int64_t k) {
  return SmallestAtLeast(scores, count, FloorForSimd(scores, count, k, k));
}

int64_t ListKeysSimd(const uint64_t* HWY_RESTRICT survivors, int64_t stride, int64_t n_blocks, KeyIndex first_key,
                     KeyIndex* HWY_RESTRICT keys) {
  int64_t n_keys = 0;
  for (int64_t b = 0; b < n_blocks; ++b, first_key += kBlockKeys) {
    uint64_t bits = survivors[b * stride];
    if (bits == 0) continue;
#if HWY_TARGET <= HWY_AVX3
    // Branches that depend on the number of bits would cost more.
    const DI di;
    const auto n = static_cast<int64_t>(hn::Lanes(di));
    const auto lane = hn::Iota(di, 0);
    for (int64_t j = 0; j < kBlockKeys; j += n, bits >>= n) {
      uint8_t mask_bytes[8];
      std::memcpy(mask_bytes, &bits, sizeof bits);
      const auto mask = hn::LoadMaskBits(di, mask_bytes);
      hn::StoreU(hn::Compress(hn::Add(lane, hn::Set(di, first_key + static_cast<KeyIndex>(j))), mask), di,
                 keys + n_keys);
      n_keys += std::popcount(static_cast<uint16_t>(bits));
    }
#else
    for (; bits != 0; bits &= bits - 1) keys[n_keys++] = first_key + static_cast<KeyIndex>(std::countr_zero(bits));
#endif
  }
  return n_keys;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(FilterSimd);
HWY_EXPORT(CompactSimd);
HWY_EXPORT(FloorForSimd);
HWY_EXPORT(KthLargestSimd);
HWY_EXPORT(ListKeysSimd);

int64_t Filter(const float* scores, float floor, KeyIndex first_key, float* out_scores, KeyIndex* out_keys) {
  return HWY_DYNAMIC_DISPATCH(FilterSimd)(scores, floor, first_key, out_scores, out_keys);
}

int64_t Compact(float floor, int64_t count, float* scores, KeyIndex* keys) {
  return HWY_DYNAMIC_DISPATCH(CompactSimd)(floor, count, scores, keys);
}

float FloorFor(float* scores, int64_t count, int64_t least, int64_t most) {
  return HWY_DYNAMIC_DISPATCH(FloorForSimd)(scores, count, least, most);
}

int64_t ListKeys(const uint64_t* survivors, int64_t stride, int64_t n_blocks, KeyIndex first_key, KeyIndex* keys) {
  return HWY_DYNAMIC_DISPATCH(ListKeysSimd)(survivors, stride, n_blocks, first_key, keys);
}

float KthLargest(float* scores, int64_t count, int64_t k) {
  return HWY_DYNAMIC_DISPATCH(KthLargestSimd)(scores, count, k);
}

}  // namespace topk
#endif  // HWY_ONCE
