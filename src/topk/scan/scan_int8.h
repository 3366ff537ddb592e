// The scan in int8: which keys of many blocks can reach each row's threshold (quantize/quantize.h says how a threshold
// takes the rounding to int8 into account).
#ifndef TOPK_SRC_SCAN_SCAN_INT8_H_
#define TOPK_SRC_SCAN_SCAN_INT8_H_

#include <cstdint>

#include "topk/quantize/quantize.h"

namespace topk {

// Rows that are computed together, at most.
inline constexpr int64_t kInt8Rows = 6;
constexpr int64_t PadToInt8Rows(int64_t count) { return (count + kInt8Rows - 1) / kInt8Rows * kInt8Rows; }

// Queries of a tile in int8, as QuantizeQueries leaves them.
struct QuantizedRows {
  const int8_t* numbers;  // [n_rows][GroupsOf(d) * kGroup]
  const int32_t* sums;    // [n_rows]: sum of a row's numbers
  int64_t n_rows;
};

// More than all roundings of a threshold, which are a few units of 2^-24, relative to what they round.
inline constexpr double kThresholdRoundings = 1e-6;

// What a row's threshold is made of: a key of a block can reach it only if
//   dot >= least * inverse_scale - (norm * scaled_norm + error * scaled_error)
// in f32, with the block's facts. Arrays of kInt8Stride numbers, 64-byte aligned.
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

// From one block to the next in thresholds and survivors, at least the rows of a tile.
inline constexpr int64_t kInt8Stride = 96;

// thresholds[b * kInt8Stride + r]: one less than the least integer dot that the rule above lets pass; for r <
// PadToLanes(n_rows). What cannot be computed (infinity, NaN) lets all keys pass.
void FindThresholds(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                    int32_t* thresholds);
void FindThresholdsReference(const RowBounds& rows, int64_t n_rows, const BlockBounds& blocks, int64_t n_blocks,
                             int32_t* thresholds);

// Bit j of survivors[b * kInt8Stride + r]: whether dot(row r, key j of block b) > thresholds[b * kInt8Stride + r],
// where the keys' numbers are their bytes - 128. panels: n_blocks panels of QuantizeKeys, 64-byte aligned. Exact
// integers: the same on every SIMD target. No allocation; any thread.
void ScanInt8(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d, const int32_t* thresholds,
              uint64_t* survivors);
void ScanInt8Reference(const QuantizedRows& rows, const uint8_t* panels, int64_t n_blocks, int64_t d,
                       const int32_t* thresholds, uint64_t* survivors);

// For a multiple of kInt8Rows rows:
// scores[r * stride + 16 v + j] = scales[v] * dot(row r, key j of vectors[v]) for n_vectors vectors of kMaxLanes keys:
// vectors[v] points at the first of them in a panel. stride: a multiple of kMaxLanes; scores: 64-byte aligned;
// n_vectors: a multiple of four.
void SampleInt8(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales, int64_t n_vectors,
                int64_t d, float* scores, int64_t stride);
void SampleInt8Reference(const QuantizedRows& rows, const uint8_t* const* vectors, const float* scales,
                         int64_t n_vectors, int64_t d, float* scores, int64_t stride);

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCAN_INT8_H_
