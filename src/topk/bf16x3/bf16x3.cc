#include "topk/bf16x3/bf16x3.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/bf16x3/bf16x3.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "topk/amx.h"
#include "topk/load/load-inl.h"
#include "topk/load/pack.h"
#include "topk/numeric.h"
#include "topk/scan/amx-inl.h"
#include "topk/scan/scan.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64

constexpr int64_t kGroups = kBlockKeys / kAmxRows;  // of keys, each with its tile of products: registers 0 to 3
static_assert(kGroups == 4);

// Registers 4 and 5: h with m, and l, of a chunk of the queries.
HWY_INLINE void LoadQueryTiles(const uint8_t* tiles) {
  // NOLINTNEXTLINE(hicpp-no-assembler)
  asm volatile("tileloadd (%0,%2,1), %%tmm4\n\ttileloadd (%1,%2,1), %%tmm5"
               :
               : "r"(tiles), "r"(tiles + kAmxTileBytes), "r"(kAmxRowBytes)
               : "memory");
}

// Adds the products of a group's key parts, [kParts][kAmxRows][kAmxRowBytes], with a chunk of the queries to the
// group's register.
template <int kGroup, int kParts>
HWY_INLINE void MultiplyGroup(const uint8_t* parts) {
  // NOLINTBEGIN(hicpp-no-assembler)
  asm volatile("tileloadd (%0,%1,1), %%tmm6\n\ttdpbf16ps %%tmm4, %%tmm6, %%tmm%c2\n\ttdpbf16ps %%tmm5, %%tmm6, %%tmm%c2"
               :
               : "r"(parts), "r"(kAmxRowBytes), "i"(kGroup)
               : "memory");
  if constexpr (kParts == 2) {
    asm volatile("tileloadd (%0,%1,1), %%tmm7\n\ttdpbf16ps %%tmm4, %%tmm7, %%tmm%c2"
                 :
                 : "r"(parts + kAmxTileBytes), "r"(kAmxRowBytes), "i"(kGroup)
                 : "memory");
  }
  // NOLINTEND(hicpp-no-assembler)
}

// Numbers of f16, or integers in it, as bf16 2^112 times smaller; cut off after 8 bits.
HWY_INLINE __m512i CutOff(__m512i halves) {
  return _mm512_and_si512(_mm512_srai_epi16(halves, 3), _mm512_set1_epi16(static_cast<int16_t>(0x8FFF)));
}

// magnitude[0, 32) becomes at least these f32 bits. What grows grows by up to a half more, so that it seldom does:
// the rows' errors follow from it.
HWY_INLINE MagnitudeChange Raise(__m512i low, __m512i high, int32_t* HWY_RESTRICT magnitude) {
  bool grew = false;
  for (const auto& [bits, to] : {std::pair(low, magnitude), std::pair(high, magnitude + kMaxLanes)}) {
    const __m512i before = _mm512_load_si512(to);
    const __mmask16 is_larger = _mm512_cmpgt_epi32_mask(bits, before);
    constexpr int32_t kHalf = 1 << 22;  // of an octave: the first bit of the fraction
    _mm512_store_si512(to, _mm512_mask_add_epi32(before, is_larger, bits, _mm512_set1_epi32(kHalf)));
    grew = grew || is_larger != 0;
  }
  return grew ? MagnitudeChange::kGrew : MagnitudeChange::kNone;
}

// Two vectors joined, of keys i and i + 4 of a group: the products with the parts h and m of eight rows, added.
HWY_INLINE __m512 SumParts(const float (*HWY_RESTRICT products)[kMaxLanes]) {
  const auto join = [](const float* a, const float* b) HWY_ATTR {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_load_ps(a)), _mm256_load_ps(b), 1);
  };
  const float* one = products[0];
  const float* other = products[4];
  return _mm512_add_ps(join(one, other), join(one + kMostBf16Rows, other + kMostBf16Rows));
}

// Where a group's vector v has its first key.
constexpr int64_t KeyOfVector(int64_t v) { return v < 4 ? v : v + 4; }
constexpr int64_t kGroupVectors = kAmxRows / 2;

// What is fetched into the L2 cache, a line for each chunk of a key: in one go they would fill the buffers that loads
// need, too, and a scan from memory takes half as long again. Without a wish of the caller's the same rows a block on.
class SteadyFetch {
 public:
  SteadyFetch(const KeyBlock& block, int64_t n_steps)
      : is_listed_(block.ahead.begin != nullptr),
        at_(block.ahead.begin),
        step_(block.ahead.bytes / n_steps),
        block_bytes_(block.keys.token_stride * kBlockKeys) {}
  HWY_INLINE void Step(const uint8_t* chunk) {
    __builtin_prefetch(is_listed_ ? at_ : chunk + block_bytes_, 0, 2);
    at_ += step_;
  }

 private:
  bool is_listed_;
  const uint8_t* at_;
  int64_t step_;
  int64_t block_bytes_;
};

// How keys of a type become bf16 parts of a chunk, [kParts][kAmxRows][kAmxRowBytes], and products scores.
template <DataType kType>
class KeyChunk;

template <>
class KeyChunk<DataType::kF16> {
 public:
  static constexpr int kParts = 2;

  KeyChunk() : largest_(_mm512_setzero_si512()) {}  // written out, or it is not compiled for this target

  HWY_INLINE void Split(const uint8_t* const* rows, int64_t i, SteadyFetch& fetch, uint8_t* HWY_RESTRICT parts) {
    const __m512i scale = _mm512_set1_epi16(0x5000);  // kBf16KeyScale
    const __m512i upper = _mm512_set1_epi16(static_cast<int16_t>(0xFFF8));
    const __m512i absolute = _mm512_set1_epi16(0x7FFF);
    for (int64_t j = 0; j < kAmxRows; ++j) {
      const uint8_t* numbers = rows[j] + i * static_cast<int64_t>(sizeof(uint16_t));
      fetch.Step(numbers);
      __m512i key = _mm512_loadu_si512(numbers);
      asm("vmulph %1, %0, %0" : "+v"(key) : "v"(scale));  // NOLINT(hicpp-no-assembler)
      largest_ = _mm512_max_epu16(largest_, _mm512_and_si512(key, absolute));
      const __m512i high = _mm512_and_si512(key, upper);
      _mm512_store_si512(parts + j * kAmxRowBytes, CutOff(key));
      asm("vsubph %1, %0, %0" : "+v"(key) : "v"(high));  // NOLINT(hicpp-no-assembler)
      _mm512_store_si512(parts + kAmxTileBytes + j * kAmxRowBytes, CutOff(key));
    }
  }

  HWY_INLINE MagnitudeChange End(int32_t* magnitude) const {
    if (_mm512_cmpge_epu16_mask(largest_, _mm512_set1_epi16(0x7C00)) != 0) return MagnitudeChange::kTooLarge;
    const auto widen = [](__m256i halves) HWY_ATTR {
      const __m512 numbers = _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(1 / kBf16KeyScale));
      return _mm512_castps_si512(_mm512_max_ps(numbers, _mm512_set1_ps(kLeastF16Magnitude)));
    };
    return Raise(widen(_mm512_castsi512_si256(largest_)), widen(_mm512_extracti64x4_epi64(largest_, 1)), magnitude);
  }

 private:
  __m512i largest_;
};

template <>
class KeyChunk<DataType::kBF16> {
 public:
  static constexpr int kParts = 1;

  KeyChunk() : largest_(_mm512_setzero_si512()) {}

  HWY_INLINE void Split(const uint8_t* const* rows, int64_t i, SteadyFetch& fetch, uint8_t* HWY_RESTRICT parts) {
    const __m512i absolute = _mm512_set1_epi16(0x7FFF);
    for (int64_t j = 0; j < kAmxRows; ++j) {
      const uint8_t* numbers = rows[j] + i * static_cast<int64_t>(sizeof(uint16_t));
      fetch.Step(numbers);
      const __m512i key = _mm512_loadu_si512(numbers);
      largest_ = _mm512_max_epu16(largest_, _mm512_and_si512(key, absolute));
      _mm512_store_si512(parts + j * kAmxRowBytes, key);
    }
  }

  HWY_INLINE MagnitudeChange End(int32_t* magnitude) const {
    if (_mm512_cmpge_epu16_mask(largest_, _mm512_set1_epi16(0x7F80)) != 0) return MagnitudeChange::kTooLarge;
    const __m512i least = _mm512_castps_si512(_mm512_set1_ps(kLeastSplitMagnitude));
    const auto widen = [least](__m256i upper_halves) HWY_ATTR {
      return _mm512_max_epi32(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper_halves), 16), least);
    };
    return Raise(widen(_mm512_castsi512_si256(largest_)), widen(_mm512_extracti64x4_epi64(largest_, 1)), magnitude);
  }

 private:
  __m512i largest_;
};

// A chunk is a block, so its products are scaled before the next one's are added.
template <>
class KeyChunk<DataType::kQ8_0> {
 public:
  static constexpr int kParts = 1;
  static_assert(kQ8BlockSize == kBf16Chunk);

  HWY_INLINE void Split(const uint8_t* const* rows, int64_t i, SteadyFetch& fetch, uint8_t* HWY_RESTRICT parts) {
    for (int64_t j = 0; j < kAmxRows; ++j) {
      const uint8_t* block = rows[j] + i / kQ8BlockSize * kQ8BlockBytes;
      fetch.Step(block);
      scales_[n_keys_++] = ReadAs<uint16_t>(block);
      __m512i key = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 2)));
      asm("vcvtw2ph %0, %0" : "+v"(key));  // NOLINT(hicpp-no-assembler)
      _mm512_store_si512(parts + j * kAmxRowBytes, CutOff(key));
    }
  }

  HWY_INLINE MagnitudeChange End(int32_t* magnitude) const {
    constexpr float kLargestInteger = 128;
    const __m512i absolute = _mm512_set1_epi16(0x7FFF);
    const __m512i scales = _mm512_max_epu16(_mm512_and_si512(_mm512_load_si512(scales_), absolute),
                                            _mm512_and_si512(_mm512_load_si512(scales_ + kBf16Chunk), absolute));
    if (_mm512_cmpge_epu16_mask(scales, _mm512_set1_epi16(0x7C00)) != 0) return MagnitudeChange::kTooLarge;
    const __m512 largest = _mm512_max_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(scales)),
                                         _mm512_cvtph_ps(_mm512_extracti64x4_epi64(scales, 1)));
    const __m512i bits = _mm512_castps_si512(_mm512_set1_ps(_mm512_reduce_max_ps(largest) * kLargestInteger));
    return Raise(bits, bits, magnitude);
  }

  // Of the keys of a group's vectors.
  HWY_INLINE __m512 Scale(int64_t group, int64_t v) const {
    const __m512 scales =
        _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scales_ + group * kAmxRows)));
    const __m512i halves = _mm512_set_epi32(4, 4, 4, 4, 4, 4, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512i places = _mm512_add_epi32(halves, _mm512_set1_epi32(static_cast<int32_t>(KeyOfVector(v))));
    return _mm512_permutexvar_ps(places, scales);
  }

 private:
  int64_t n_keys_ = 0;
  alignas(kCacheLineBytes) uint16_t scales_[kBlockKeys];
};

// Splits groups and multiplies each while the next one is split: its parts are in the cache by then.
template <int kGroup, class Chunk>
HWY_INLINE void ScoreGroups(const uint8_t* const* rows, int64_t i, SteadyFetch& fetch, uint8_t* parts, Chunk& chunk) {
  constexpr int kParts = Chunk::kParts;
  if constexpr (kGroup < kGroups) {
    chunk.Split(rows + kGroup * kAmxRows, i, fetch, parts + kGroup * kParts * kAmxTileBytes);
  }
  if constexpr (kGroup > 0) MultiplyGroup<kGroup - 1, kParts>(parts + (kGroup - 1) * kParts * kAmxTileBytes);
  if constexpr (kGroup < kGroups) ScoreGroups<kGroup + 1>(rows, i, fetch, parts, chunk);
}

// A group's sums, [kGroupVectors], transposed to scores[r * stride + j]. Returns the rows that compete.
HWY_INLINE uint32_t StoreScores(const __m512* HWY_RESTRICT sums, int64_t n_rows, const float* HWY_RESTRICT reach,
                                float* HWY_RESTRICT scores, int64_t stride) {
  const auto transpose_blocks = [](const __m512* from, __m512* to) HWY_ATTR {
    const __m512d ab_low = _mm512_castps_pd(_mm512_unpacklo_ps(from[0], from[1]));
    const __m512d ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(from[0], from[1]));
    const __m512d cd_low = _mm512_castps_pd(_mm512_unpacklo_ps(from[2], from[3]));
    const __m512d cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(from[2], from[3]));
    to[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_low, cd_low));
    to[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_low, cd_low));
    to[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high));
    to[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high));
  };
  // Blocks of 128 bits: row r of keys 0-3, row r + 4 of keys 0-3, then both of keys 4-7; and of keys 8-15.
  __m512 first[4];
  __m512 second[4];
  transpose_blocks(sums, first);
  transpose_blocks(sums + 4, second);
  uint32_t competing = 0;
  for (int64_t r = 0; r < n_rows; ++r) {
    constexpr int kEvenBlocks = 0x88;
    constexpr int kOddBlocks = 0xDD;
    const __m512 row = r < 4 ? _mm512_shuffle_f32x4(first[r], second[r], kEvenBlocks)
                             : _mm512_shuffle_f32x4(first[r - 4], second[r - 4], kOddBlocks);
    _mm512_store_ps(scores + r * stride, row);
    const bool competes = _mm512_cmp_ps_mask(row, _mm512_set1_ps(reach[r]), _CMP_NLT_UQ) != 0;
    competing |= static_cast<uint32_t>(competes) << r;
  }
  return competing;
}

template <DataType kType>
Bf16x3Result ScoreOfType(const uint8_t* tiles, int64_t n_rows, const KeyBlock& block, int64_t d,
                         const float* HWY_RESTRICT reach, float* HWY_RESTRICT scores, int64_t stride,
                         int32_t* HWY_RESTRICT magnitude) {
  using Chunk = KeyChunk<kType>;
  constexpr bool kHasScales = kType == DataType::kQ8_0;
  const uint8_t* rows[kBlockKeys];
  for (int64_t j = 0; j < kBlockKeys; ++j) {  // past the end the last key stands in
    rows[j] = block.keys.Row(0, block.first + std::min(j, block.count - 1), 0);
  }
  alignas(kCacheLineBytes) uint8_t parts[kGroups * Chunk::kParts * kAmxTileBytes];
  alignas(kCacheLineBytes) float products[kBlockKeys][kMaxLanes];
  __m512 sums[kGroups][kGroupVectors];
  Bf16x3Result result;
  const int64_t n_chunks = d / kBf16Chunk;
  SteadyFetch fetch(block, n_chunks * kBlockKeys);
  for (int64_t c = 0; c < n_chunks; ++c) {
    if (c == 0 || kHasScales) ClearProducts();
    LoadQueryTiles(tiles + c * 2 * kAmxTileBytes);
    Chunk chunk;
    ScoreGroups<0>(rows, c * kBf16Chunk, fetch, parts, chunk);
    result.magnitude = std::max(result.magnitude, chunk.End(magnitude + c * kBf16Chunk));
    if (!kHasScales && c + 1 < n_chunks) continue;
    StoreProducts(products[0], products[kAmxRows], products[2 * kAmxRows], products[3 * kAmxRows], kAmxRowBytes);
    for (int64_t group = 0; group < kGroups; ++group) {
      for (int64_t v = 0; v < kGroupVectors; ++v) {
        __m512& sum = sums[group][v];
        const __m512 more = SumParts(products + group * kAmxRows + KeyOfVector(v));
        if constexpr (!kHasScales) {
          sum = more;
        } else {
          sum = _mm512_fmadd_ps(more, chunk.Scale(group, v), c == 0 ? _mm512_setzero_ps() : sum);
        }
      }
    }
  }
  for (int64_t group = 0; group < kGroups; ++group) {
    result.competing |= StoreScores(sums[group], n_rows, reach, scores + group * kAmxRows, stride);
  }
  for (int64_t r = 0; r < n_rows; ++r) {
    std::fill(scores + r * stride + block.count, scores + r * stride + kBlockKeys, 0.0F);
  }
  return result;
}

Bf16x3Result ScoreBf16x3Simd(const uint8_t* tiles, int64_t n_rows, const KeyBlock& block, int64_t d, const float* reach,
                             float* scores, int64_t stride, int32_t* magnitude) {
  const auto score = [&](auto type) {
    return ScoreOfType<type>(tiles, n_rows, block, d, reach, scores, stride, magnitude);
  };
  switch (block.keys.type) {
    case DataType::kF16: return score(std::integral_constant<DataType, DataType::kF16>());
    case DataType::kBF16: return score(std::integral_constant<DataType, DataType::kBF16>());
    case DataType::kQ8_0: return score(std::integral_constant<DataType, DataType::kQ8_0>());
    case DataType::kF32: break;
  }
  return {MagnitudeChange::kTooLarge};  // SuitsBf16x3 said no
}

#else

Bf16x3Result ScoreBf16x3Simd(const uint8_t* /*tiles*/, int64_t /*n_rows*/, const KeyBlock& /*block*/, int64_t /*d*/,
                             const float* /*reach*/, float* /*scores*/, int64_t /*stride*/, int32_t* /*magnitude*/) {
  return {MagnitudeChange::kTooLarge};  // SuitsBf16x3 said no
}

#endif

constexpr int64_t kPairBytes = 2 * sizeof(uint16_t);

// To the nearest, ties to even, as bits. Of no use for NaN and what is near overflow.
HWY_INLINE uint16_t RoundToBf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// What makes up for the keys' scales.
HWY_INLINE float QueryScaleFor(DataType type) {
  switch (type) {
    case DataType::kF16: return 0x1p112F / kBf16KeyScale;
    case DataType::kQ8_0: return 0x1p112F;
    default: return 1.0F;
  }
}

bool SplitQueriesSimd(DataType type, const float* queries, int64_t n_rows, int64_t d, uint8_t* tiles) {
  const float scale = QueryScaleFor(type);
  std::memset(tiles, 0, static_cast<size_t>(Bf16QueryBytes(d)));
  bool fits = true;
  for (int64_t c = 0; c < d / kBf16Chunk; ++c) {
    for (int64_t r = 0; r < n_rows; ++r) {
      // The parts h, m and l have a column each; two dimensions of it stand side by side in a line.
      uint8_t* const column_h = tiles + c * 2 * kAmxTileBytes + r * kPairBytes;
      uint8_t* const columns[] = {column_h, column_h + kMostBf16Rows * kPairBytes, column_h + kAmxTileBytes};
      float rest[kBf16Chunk];
      for (int64_t i = 0; i < kBf16Chunk; ++i) {
        const float number = queries[r * PadToLanes(d) + c * kBf16Chunk + i];
        fits &= std::fabs(number) < kLargestBf16Query;
        rest[i] = number * scale;
      }
      for (uint8_t* column : columns) {  // loops that compilers turn into vectors
        uint16_t part[kBf16Chunk];
        for (int64_t i = 0; i < kBf16Chunk; ++i) {
          part[i] = RoundToBf16(rest[i]);
          rest[i] -= std::bit_cast<float>(static_cast<uint32_t>(part[i]) << 16);
        }
        for (int64_t i = 0; i < kBf16Chunk; i += 2) std::memcpy(column + i / 2 * kAmxRowBytes, part + i, kPairBytes);
      }
    }
  }
  return fits;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(SplitQueriesSimd);
HWY_EXPORT(ScoreBf16x3Simd);

bool SuitsBf16x3(DataType type, int64_t d) { return UsesFp16() && type != DataType::kF32 && d % kBf16Chunk == 0; }

bool SplitQueries(DataType type, const float* queries, int64_t n_rows, int64_t d, uint8_t* tiles) {
  return HWY_DYNAMIC_DISPATCH(SplitQueriesSimd)(type, queries, n_rows, d, tiles);
}

Bf16x3Result ScoreBf16x3(const uint8_t* tiles, int64_t n_rows, const KeyBlock& block, int64_t d, const float* reach,
                         float* scores, int64_t stride, int32_t* magnitude) {
  return HWY_DYNAMIC_DISPATCH(ScoreBf16x3Simd)(tiles, n_rows, block, d, reach, scores, stride, magnitude);
}

}  // namespace topk
#endif  // HWY_ONCE
