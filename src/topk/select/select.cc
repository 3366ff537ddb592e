#include "topk/select/select.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/select/select.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

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

// The z that a share p of a normal distribution exceeds, to 0.003 (Abramowitz and Stegun 26.2.22).
HWY_INLINE float UpperNormalQuantile(float p) {
  const float t = std::sqrt(-2.0F * std::log(std::min(p, 1.0F - p)));
  const float z = t - (2.30753F + 0.27061F * t) / (1.0F + t * (0.99229F + t * 0.04481F));
  return p <= 0.5F ? z : -z;
}
HWY_INLINE float NormalDensity(float z) { return 0.39894F * std::exp(-0.5F * z * z); }

// Floats in the order of these integers, so that halfway between two floats is a float.
HWY_INLINE int32_t ToOrdered(float x) {
  const auto bits = std::bit_cast<int32_t>(x);
  return bits < 0 ? bits ^ 0x7FFFFFFF : bits;
}
HWY_INLINE float FromOrdered(int32_t order) { return std::bit_cast<float>(order < 0 ? order ^ 0x7FFFFFFF : order); }

// How many scores are not below the floor.
HWY_INLINE int64_t CountFrom(const float* HWY_RESTRICT scores, int64_t count, float floor) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto least = hn::Set(df, floor);
  size_t total = 0;
  for (int64_t j = 0; j < count; j += n) {
    const auto s = hn::Load(df, scores + j);
    total += hn::CountTrue(df, hn::Ge(s, least));
  }
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

// The scores of [low, high), in order; out has room for a vector more.
HWY_INLINE int64_t Between(const float* HWY_RESTRICT scores, int64_t count, float low, float high,
                           float* HWY_RESTRICT out) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto least = hn::Set(df, low);
  const auto end = hn::Set(df, high);
  int64_t n_out = 0;
  for (int64_t j = 0; j < count; j += n) {
    const auto s = hn::Load(df, scores + j);
    const auto is_between = hn::And(hn::Ge(s, least), hn::Lt(s, end));
    hn::StoreU(hn::Compress(s, is_between), df, out + n_out);
    n_out += static_cast<int64_t>(hn::CountTrue(df, is_between));
  }
  return n_out;
}

// What a search starts from, of the scores that are not hidden.
struct Spread {
  float smallest, largest;
  int64_t count;
  float mean, deviation;
};

HWY_INLINE Spread SpreadOf(const float* HWY_RESTRICT scores, int64_t count) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto infinity = hn::Set(df, std::numeric_limits<float>::infinity());
  const auto lowest = hn::Set(df, std::numeric_limits<float>::lowest());
  // Two of each: sums wait for the last addition.
  hn::Vec<DF> smallest[2] = {infinity, infinity};
  hn::Vec<DF> largest[2] = {hn::Neg(infinity), hn::Neg(infinity)};
  hn::Vec<DF> sum[2] = {hn::Zero(df), hn::Zero(df)};
  hn::Vec<DF> squares[2] = {hn::Zero(df), hn::Zero(df)};
  size_t shown = 0;
  const auto add = [&](int64_t j, int i) HWY_ATTR {
    const auto s = hn::Load(df, scores + j);
    const auto is_shown = hn::Ge(s, lowest);
    const auto x = hn::IfThenElseZero(is_shown, s);
    smallest[i] = hn::Min(smallest[i], hn::IfThenElse(is_shown, s, infinity));
    largest[i] = hn::Max(largest[i], s);
    sum[i] = hn::Add(sum[i], x);
    squares[i] = hn::MulAdd(x, x, squares[i]);
    shown += hn::CountTrue(df, is_shown);
  };
  int64_t j = 0;
  for (; j + n < count; j += 2 * n) {
    add(j, 0);
    add(j + n, 1);
  }
  if (j < count) add(j, 0);
  const auto total = static_cast<float>(shown);
  const float mean = hn::GetLane(hn::SumOfLanes(df, hn::Add(sum[0], sum[1]))) / total;
  const float variance = hn::GetLane(hn::SumOfLanes(df, hn::Add(squares[0], squares[1]))) / total - mean * mean;
  return {hn::GetLane(hn::MinOfLanes(df, hn::Min(smallest[0], smallest[1]))),
          hn::GetLane(hn::MaxOfLanes(df, hn::Max(largest[0], largest[1]))), static_cast<int64_t>(shown), mean,
          std::sqrt(std::max(0.0F, variance))};
}

// Where a search for a floor has come to: at least `least` scores reach `low`, fewer reach `high`. Both are ordered.
struct Bracket {
  int64_t low, high;
  int64_t n_low, n_high;  // how many do

  // All scores, but for the hidden ones.
  static Bracket Of(const Spread& spread) {
    return {ToOrdered(spread.smallest), int64_t{ToOrdered(spread.largest)} + 1, spread.count, 0};
  }
  bool IsClosed() const { return high - low <= 1; }
  int64_t count() const { return n_low - n_high; }
  // A try within the bracket near a value; halfway between its ends if that is no number.
  int64_t TryNear(float value) const {
    return std::isfinite(value) ? std::clamp<int64_t>(ToOrdered(value), low + 1, high - 1) : low + (high - low) / 2;
  }
  // So many scores reach a try between the ends.
  void Narrow(int64_t middle, int64_t reached, int64_t least) {
    (reached >= least ? low : high) = middle;
    (reached >= least ? n_low : n_high) = reached;
  }
};

// Narrows the bracket until `least` to `most` scores reach its lower end, or there are at most `few` between its ends.
// Halving values takes log2(count) steps for most distributions; halving floats' order always ends.
HWY_INLINE void Halve(const float* HWY_RESTRICT scores, int64_t count, int64_t least, int64_t most, int64_t few,
                      Bracket& b) {
  constexpr int kStepsByValue = 16;
  for (int step = 0; !b.IsClosed() && b.n_low > most && b.count() > few; ++step) {
    const float value = step < kStepsByValue ? 0.5F * FromOrdered(static_cast<int32_t>(b.low)) +
                                                   0.5F * FromOrdered(static_cast<int32_t>(b.high - 1))
                                             : std::numeric_limits<float>::quiet_NaN();
    const int64_t middle = b.TryNear(value);
    b.Narrow(middle, CountFrom(scores, count, FromOrdered(static_cast<int32_t>(middle))), least);
  }
}

// A floor that `least` to `most` scores reach; where ties allow none, the highest that at least `least` reach.
float FloorForSimd(float* HWY_RESTRICT scores, int64_t count, int64_t least, int64_t most) {
  constexpr int kNormalSteps = 2;  // tries that would be right for a normal distribution
  hn::StoreU(hn::Set(DF(), -std::numeric_limits<float>::infinity()), DF(), scores + count);
  const Spread spread = SpreadOf(scores, count);
  Bracket b = Bracket::Of(spread);
  const float wanted = 0.5F * static_cast<float>(least + most);
  const auto total = static_cast<float>(spread.count);
  float z = UpperNormalQuantile(wanted / total);
  for (int step = 0; step < kNormalSteps && !b.IsClosed() && b.n_low > most; ++step) {
    const int64_t middle = b.TryNear(spread.mean + z * spread.deviation);
    const int64_t reached = CountFrom(scores, count, FromOrdered(static_cast<int32_t>(middle)));
    b.Narrow(middle, reached, least);
    z += (static_cast<float>(reached) - wanted) / (total * NormalDensity(z));
  }
  Halve(scores, count, least, most, 0, b);
  return FromOrdered(static_cast<int32_t>(b.low));
}

// Tries on both sides of where the k-th of a normal distribution would be, as far from it as its rank may be off.
HWY_INLINE void NarrowFromBothSides(const float* HWY_RESTRICT scores, int64_t count, int64_t k, const Spread& spread,
                                    Bracket& b) {
  constexpr float kDeviations = 2.0F;
  const auto total = static_cast<float>(spread.count);
  const auto rank = static_cast<float>(k);
  const float off = kDeviations * std::sqrt(rank * (1.0F - rank / total)) + 1.0F;
  for (const float side : {rank + off, rank - off}) {
    if (b.IsClosed() || side < 1.0F || side > total - 1.0F) continue;
    const int64_t middle = b.TryNear(spread.mean + UpperNormalQuantile(side / total) * spread.deviation);
    b.Narrow(middle, CountFrom(scores, count, FromOrdered(static_cast<int32_t>(middle))), k);
  }
}

// The natural logarithm of a positive number, to 0.01.
HWY_INLINE float RoughLog(float x) {
  constexpr float kLog2 = 0.693147F;
  const auto bits = std::bit_cast<int32_t>(x);
  const float fraction = std::bit_cast<float>((bits & 0x007FFFFF) | 0x3F800000);  // from 1 to 2
  const auto exponent = static_cast<float>((bits >> 23) - 127);
  return kLog2 * (exponent + (fraction - 1.0F) * (5.0F - fraction) / 3.0F);
}

float GuessFloorForSimd(const float* HWY_RESTRICT scores, int64_t count, int64_t n_shown, int64_t k) {
  constexpr float kDeviations = 2.0F;
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const auto lowest = hn::Set(df, std::numeric_limits<float>::lowest());
  // Two of each: sums wait for the last addition. A block has an even number of vectors.
  hn::Vec<DF> sum[2] = {hn::Zero(df), hn::Zero(df)};
  hn::Vec<DF> squares[2] = {hn::Zero(df), hn::Zero(df)};
  for (int64_t j = 0; j < count; j += 2 * n) {
    for (int i = 0; i < 2; ++i) {
      const auto s = hn::Load(df, scores + j + i * n);
      const auto x = hn::IfThenElseZero(hn::Ge(s, lowest), s);
      sum[i] = hn::Add(sum[i], x);
      squares[i] = hn::MulAdd(x, x, squares[i]);
    }
  }
  const auto total = static_cast<float>(n_shown);
  const float mean = hn::GetLane(hn::SumOfLanes(df, hn::Add(sum[0], sum[1]))) / total;
  const float variance = hn::GetLane(hn::SumOfLanes(df, hn::Add(squares[0], squares[1]))) / total - mean * mean;
  // The rank that is exceeded with the odds of kDeviations.
  const auto rank = static_cast<float>(k);
  const float share = std::min(0.99F, (rank + kDeviations * std::sqrt(rank * (1.0F - rank / total)) + 1.0F) / total);
  // As UpperNormalQuantile has it.
  const float t = std::sqrt(-2.0F * RoughLog(std::min(share, 1.0F - share)));
  const float z = t - (2.30753F + 0.27061F * t) / (1.0F + t * (0.99229F + t * 0.04481F));
  const float guess = mean + (share <= 0.5F ? z : -z) * std::sqrt(std::max(0.0F, variance));
  return std::isfinite(guess) ? guess : std::numeric_limits<float>::lowest();
}

// The rank-th largest of a few scores, which -inf follows up to the end of their last vector: the least of those that
// fewer than `rank` exceed. Compares each with each, without a branch.
HWY_INLINE float LargestOfFew(const float* HWY_RESTRICT scores, int64_t count, int64_t rank) {
  const DF df;
  const DI di;
  const auto infinity = hn::Set(df, std::numeric_limits<float>::infinity());
  const auto wanted = hn::Set(di, static_cast<int32_t>(rank));
  auto least = infinity;
  for (int64_t j = 0; j < count; j += hn::Lanes(df)) {
    const auto s = hn::Load(df, scores + j);
    auto n_above = hn::Zero(di);
    for (int64_t i = 0; i < count; ++i) {
      n_above = hn::Sub(n_above, hn::BitCast(di, hn::VecFromMask(df, hn::Gt(hn::Set(df, scores[i]), s))));
    }
    const auto is_among = hn::RebindMask(df, hn::Lt(n_above, wanted));
    least = hn::Min(least, hn::IfThenElse(is_among, s, infinity));
  }
  return hn::GetLane(hn::MinOfLanes(df, least));
}

// The k-th largest within the bracket.
template <int64_t kFew>  // from here on they are searched alone
HWY_INLINE float SearchBracket(const float* HWY_RESTRICT scores, int64_t count, int64_t k, Bracket b) {
  const DF df;
  const auto hidden = hn::Set(df, -std::numeric_limits<float>::infinity());
  Halve(scores, count, k, k, kFew, b);
  const float low = FromOrdered(static_cast<int32_t>(b.low));
  if (b.count() > kFew) return SmallestAtLeast(scores, count, low);  // as many tie, or exactly k reach it
  // A `high` that no score reaches may be the +0 that follows -0 in order, but not in comparisons.
  const float high = b.n_high == 0 ? std::numeric_limits<float>::infinity() : FromOrdered(static_cast<int32_t>(b.high));
  alignas(kCacheLineBytes) float between[kFew + kMaxLanes];
  const int64_t n_between = Between(scores, count, low, high, between);
  hn::StoreU(hidden, df, between + n_between);
  return LargestOfFew(between, n_between, k - b.n_high);
}

float KthLargestSimd(float* HWY_RESTRICT scores, int64_t count, int64_t k) {
  hn::StoreU(hn::Set(DF(), -std::numeric_limits<float>::infinity()), DF(), scores + count);
  const Spread spread = SpreadOf(scores, count);
  Bracket b = Bracket::Of(spread);
  NarrowFromBothSides(scores, count, k, spread, b);
  return SearchBracket<64>(scores, count, k, b);
}

float KthLargestOfTailSimd(float* HWY_RESTRICT scores, int64_t count, int64_t k) {
  hn::StoreU(hn::Set(DF(), -std::numeric_limits<float>::infinity()), DF(), scores + count);
  const Spread spread = SpreadOf(scores, count);
  Bracket b = Bracket::Of(spread);
  // Where the tail is exponential, a share 1 / (1 + x) of the scores is further than ln(1 + x) means above the least.
  // That of a normal distribution is denser at its end, but not by half.
  const auto x = static_cast<float>(spread.count - k) / static_cast<float>(k);
  const float high = spread.smallest + 1.5F * (spread.mean - spread.smallest) * x / (1.0F + 0.5F * x);
  if (!b.IsClosed()) {
    const int64_t middle = b.TryNear(high);
    b.Narrow(middle, CountFrom(scores, count, FromOrdered(static_cast<int32_t>(middle))), k);
  }
  return SearchBracket<32>(scores, count, k, b);
}

#if HWY_TARGET <= HWY_AVX3
// AVX512-VBMI2, which none of the targets of Highway 1.0.3 has: as assembly it needs no other compiler flags than
// theirs.
bool HasVbmi2() {
  static const bool has_vbmi2 = __builtin_cpu_supports("avx512vbmi2") != 0;
  return has_vbmi2;
}

int64_t ListKeysOnVbmi2(const uint64_t* HWY_RESTRICT survivors, int64_t n_blocks, KeyIndex first_key,
                        KeyIndex* HWY_RESTRICT keys) {
  alignas(kCacheLineBytes) uint8_t numbers[kBlockKeys];
  std::iota(numbers, numbers + kBlockKeys, uint8_t{0});
  const __m512i iota = _mm512_load_si512(numbers);
  int64_t n_keys = 0;
  for (int64_t b = 0; b < n_blocks; ++b, first_key += kBlockKeys) {
    __m512i places;  // of the bits that are set, a byte each
    // NOLINTNEXTLINE(hicpp-no-assembler)
    asm("vpcompressb %1, %0%{%2%}%{z%}" : "=v"(places) : "v"(iota), "Yk"(static_cast<__mmask64>(survivors[b])));
    const __m512i first = _mm512_set1_epi32(first_key);
    const int64_t end = n_keys + std::popcount(survivors[b]);
    do {  // once for nearly all words: a branch on empty ones would cost more
      const __m512i few = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(places));
      _mm512_storeu_si512(keys + n_keys, _mm512_add_epi32(few, first));
      places = _mm512_alignr_epi64(places, places, 2);
      n_keys += kMaxLanes;
    } while (n_keys < end);
    n_keys = end;
  }
  return n_keys;
}
#endif

int64_t ListKeysSimd(const uint64_t* HWY_RESTRICT survivors, int64_t n_blocks, KeyIndex first_key,
                     KeyIndex* HWY_RESTRICT keys) {
#if HWY_TARGET <= HWY_AVX3
  if (HasVbmi2()) return ListKeysOnVbmi2(survivors, n_blocks, first_key, keys);
#endif
  // A few bits are set in most words: as many steps for each, needed or not, cost less than branches that depend on
  // their number.
  constexpr int kStepsAtOnce = 8;
  int64_t n_keys = 0;
  for (int64_t b = 0; b < n_blocks; ++b, first_key += kBlockKeys) {
    uint64_t bits = survivors[b];
    const int64_t end = n_keys + std::popcount(bits);
    do {
      for (int step = 0; step < kStepsAtOnce; ++step, bits &= bits - 1) {
        keys[n_keys + step] = first_key + static_cast<KeyIndex>(std::countr_zero(bits));
      }
      n_keys += kStepsAtOnce;
    } while (n_keys < end);
    n_keys = end;
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
HWY_EXPORT(GuessFloorForSimd);
HWY_EXPORT(KthLargestSimd);
HWY_EXPORT(KthLargestOfTailSimd);
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

int64_t ListKeys(const uint64_t* survivors, int64_t n_blocks, KeyIndex first_key, KeyIndex* keys) {
  return HWY_DYNAMIC_DISPATCH(ListKeysSimd)(survivors, n_blocks, first_key, keys);
}

float GuessFloorFor(const float* scores, int64_t count, int64_t n_shown, int64_t k) {
  return HWY_DYNAMIC_DISPATCH(GuessFloorForSimd)(scores, count, n_shown, k);
}

float KthLargest(float* scores, int64_t count, int64_t k) {
  return HWY_DYNAMIC_DISPATCH(KthLargestSimd)(scores, count, k);
}

float KthLargestOfTail(float* scores, int64_t count, int64_t k) {
  return HWY_DYNAMIC_DISPATCH(KthLargestOfTailSimd)(scores, count, k);
}

}  // namespace topk
#endif  // HWY_ONCE
