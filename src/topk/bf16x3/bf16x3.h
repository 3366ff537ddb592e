// Scores of few rows in f32 from products of bf16, which AMX multiplies sixteen times as fast as f32: numbers are split
// into bf16 parts whose sum they are ("bf16x3": Henry, Tang, Heinecke, "Leveraging the bfloat16 Artificial Intelligence
// Datatype For Higher-Precision Computations", 2019),
//
//   q = h + m + l, each part the rest rounded to bf16       k = a + b, a: k cut off at bf16, b: the rest
//   q.k = (h + m).a + (h + m).b + l.a + e,    |e| <= 2^-23 sum_i |q_i| |k_i|
//
// The error, in u = 2^-24 of sum_i |q_i| |k_i|: two units of what is left out. An instruction adds 16 products in each
// of two chains that begin with 0, then the two, then their sum to what was there (Intel's manual, TDPBF16PS): 17 + 3
// ceil(d / 32) roundings of the large products, and a tenth as much of the small ones. With what a score in f32 has
// beside its products (scan/scan.h), 8, less than 36 + 4 ceil(d / 32).
//
// A key in bf16 has no b, nor have q8_0's integers, whose scales come in afterwards. Keys come as they stand in memory,
// 16 of them a tile register, so nothing is transposed but scores.
#ifndef TOPK_SRC_BF16X3_BF16X3_H_
#define TOPK_SRC_BF16X3_BF16X3_H_

#include <cstdint>

#include "topk/amx.h"
#include "topk/load/key_block.h"
#include "topk/tensor.h"

namespace topk {

// Rows of a call, at most: two of a query's parts each in a tile's 16 columns.
inline constexpr int64_t kMostBf16Rows = 8;
// Dimensions of a tile, two bytes each.
inline constexpr int64_t kBf16Chunk = 32;
// Numbers of a query must be smaller, or its parts in bf16 would overflow.
inline constexpr float kLargestBf16Query = 0x1p12F;

// A number of f16, its bits moved by the three that its fraction is longer than bf16's, is a bf16 number 2^112 times
// smaller: the exponents' offsets differ by 112. Subnormal numbers are lost, which AMX takes for 0; so keys in f16 are
// multiplied by this first, and must not be larger than what follows. What is lost is then below 2^-19, of a and of b:
// 64 units of f32, which ScanError covers if no magnitude is below the last of these. Queries are multiplied by what
// makes up for both.
inline constexpr float kBf16KeyScale = 0x1p5F;
inline constexpr float kLargestBf16Key = 2047.0F;
inline constexpr float kLeastF16Magnitude = 2.0F;

// Whether scores of these keys can be had this way on the processor and SIMD target in use.
bool SuitsBf16x3(DataType type, int64_t d);

// Bytes of the queries' tiles.
constexpr int64_t Bf16QueryBytes(int64_t d) { return d / kBf16Chunk * 2 * kAmxTileBytes; }

// tiles: Bf16QueryBytes(d), 64-byte aligned: of each kBf16Chunk dimensions one with h and m, one with l, for keys of
// this type. queries: [n_rows][PadToLanes(d)], n_rows <= kMostBf16Rows. False, and then the tiles are of no use, if a
// number is not smaller than kLargestBf16Query.
bool SplitQueries(DataType type, const float* queries, int64_t n_rows, int64_t d, uint8_t* tiles);

enum class MagnitudeChange {
  kNone,
  kGrew,
  kTooLarge,  // a key does not fit, infinity and NaN included: neither scores nor magnitudes are of use
};

struct Bf16x3Result {
  MagnitudeChange magnitude = MagnitudeChange::kNone;
  uint32_t competing = 0;  // bit r: whether a score of row r is not below reach[r]
};

// scores[r * stride + j] = q_r . (key first + j of the block) for r < n_rows and j < block.count, within ScanError of
// scan/scan.h; 0 for block.count <= j < kBlockKeys. magnitude becomes at least that of PackKeys (load/pack.h).
// reach: [kMostBf16Rows], see Bf16x3Result. scores, magnitude: 64-byte aligned; stride: a multiple of kMaxLanes. Only
// if SuitsBf16x3, and while the thread has AmxRegisters (amx.h). No allocation; any thread.
Bf16x3Result ScoreBf16x3(const uint8_t* tiles, int64_t n_rows, const KeyBlock& block, int64_t d, const float* reach,
                         float* scores, int64_t stride, int32_t* magnitude);
// In f32, from the queries themselves, [n_rows][PadToLanes(d)], and with the exact magnitudes of keys of any size.
Bf16x3Result ScoreBf16x3Reference(const float* queries, int64_t n_rows, const KeyBlock& block, int64_t d,
                                  const float* reach, float* scores, int64_t stride, int32_t* magnitude);

}  // namespace topk

#endif  // TOPK_SRC_BF16X3_BF16X3_H_
