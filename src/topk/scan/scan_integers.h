// The scan in integers, int8 or int16: which keys of many blocks can reach each row's threshold (quantize/quantize.h
// says how a threshold takes the rounding to integers into account).
#ifndef TOPK_SRC_SCAN_SCAN_INTEGERS_H_
#define TOPK_SRC_SCAN_SCAN_INTEGERS_H_

#include <cstdint>

#include "topk/quantize/quantize.h"
#include "topk/scan/survivor_bits.h"

namespace topk {

// Rows that are computed together, at most.
inline constexpr int64_t kIntegerRows = 6;
constexpr int64_t PadToIntegerRows(int64_t count) { return (count + kIntegerRows - 1) / kIntegerRows * kIntegerRows; }

// Queries of a tile in integers, as QuantizeQueries leaves them.
struct QuantizedRows {
  const void* numbers;  // [n_rows][QuantizedBytes(d, width)]; in int8 at most LargestQueryInt8()
  const int32_t* sums;  // [n_rows]: sum of a row's numbers
  int64_t n_rows;
  NumberWidth width = NumberWidth::kInt8;

  // The rows from number `first` on.
  QuantizedRows From(int64_t first, int64_t d) const {
    return {static_cast<const uint8_t*>(numbers) + first * QuantizedBytes(d, width), sums + first, n_rows - first,
            width};
  }
};

// More than all roundings of a threshold, which are a few units of 2^-24, relative to what they round.
inline constexpr double kThresholdRoundings = 1e-6;

// What a row's threshold is made of: a key of a block can reach it only if
//   dot >= least * inverse_scale - (norm * scaled_norm + error * scaled_error)
// in f32, with the block's facts. Arrays of kIntegerStride numbers, 64-byte aligned.
struct RowBounds {
  float* least;
  float* norm;
  float* error;
};

// Facts of consecutive blocks: QuantizedHead or Int8Segment has them.
struct BlockBounds {
  const float* inverse_scale;
  const float* scaled_norm;
  const float* scaled_error;
};

// From one block to the next in thresholds, at least the rows of a tile.
inline constexpr int64_t kIntegerStride = 96;

// thresholds[b * kIntegerStride + r]: one less than the least integer dot that the rule above lets pass; for r <
// PadToLanes(n_rows). What cannot be computed (infinity, NaN) lets all keys pass.
void FindThresholds(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                    int32_t* thresholds);
void FindThresholdsReference(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                             int32_t* thresholds);

// Bit j of survivors[r * kSurvivorStride + b]: whether dot(row r, key j of block b) > thresholds[b * kIntegerStride +
// r], where the keys' int8 numbers are their bytes - 128. panels: n_blocks <= kMostScannedBlocks panels of QuantizeKeys
// of the rows' width, 64-byte aligned. Exact integers: the same on every SIMD target. No allocation; any thread.
void ScanIntegers(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                  const int32_t* thresholds, uint64_t* survivors);
void ScanIntegersReference(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                           const int32_t* thresholds, uint64_t* survivors);

// For a multiple of kIntegerRows rows:
// scores[r * stride + 16 v + j] = scales[v] * dot(row r, key j of vectors[v]) for n_vectors vectors of kMaxLanes keys:
// vectors[v] points at the first of them in a panel. stride: a multiple of kMaxLanes; scores: 64-byte aligned;
// n_vectors: a multiple of four.
void SampleIntegers(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales, int64_t n_vectors,
                    int64_t d, float* scores, int64_t stride);
void SampleIntegersReference(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales,
                             int64_t n_vectors, int64_t d, float* scores, int64_t stride);

// What a multiply-add of ScanIntegers costs, in those of the f32 scan, about, on the SIMD target in use.
double CostOfProduct(NumberWidth width);

// What a row in integers costs beside its products, in products in f32 of a row and a key: to bring its query to
// integers, to guess its threshold and to find whether the guess was right.
double CostOfIntegerRow();

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCAN_INTEGERS_H_
