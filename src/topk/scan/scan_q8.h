// The scan of q8_0 keys as the integers that they are. No key is rounded, only the queries are, to 15 bits:
//
//   q_i = s (128 h_i + l_i + r_i),   h_i, l_i: int8, |r_i| <= 1/2
//   q.k = s sum_b c_b sum_{i in b} (128 h_i + l_i + r_i) n_i,   c_b: scales of the key's blocks of 32, n_i: its numbers
//
// The sums over a block are exact in int32. What stands before the blocks is added up in f32: with N_i = 128 h_i + l_i,
// at most d/32 + 2 roundings of terms whose absolute sum is at most |N||k|. So the scan's score f fulfils
//
//   |q.k / s - f| <= (|r| + (d/32 + 2) u |N|) |k|                                       u = 2^-24, |.|: 2-norms
#ifndef TOPK_SRC_SCAN_SCAN_Q8_H_
#define TOPK_SRC_SCAN_SCAN_Q8_H_

#include <cstdint>

#include "topk/quantize/quantize_rows.h"
#include "topk/scan/survivor_bits.h"

namespace topk {

// Largest |128 h + l|.
inline constexpr int32_t kLargestQ8Number = 127 * 128;

// A block of keys; 64-byte aligned. d: a multiple of kQ8BlockSize.
struct Q8Panel {
  uint8_t* numbers;  // [d / kGroup][kBlockKeys][kGroup]: 128 more than n_i
  float* scales;     // [d / kQ8BlockSize][kBlockKeys]
};
constexpr int64_t Q8PanelNumbers(int64_t d) { return d * kBlockKeys; }
constexpr int64_t Q8PanelScales(int64_t d) { return d / kQ8BlockSize * kBlockKeys; }

// Fills the panel with the block's keys of type q8_0; zeros for the others. Returns at least the largest |k|; infinity
// or NaN if a scale is. No allocation; any thread.
float PackQ8(const KeyBlock& block, int64_t d, const Q8Panel& panel);
float PackQ8Reference(const KeyBlock& block, int64_t d, const Q8Panel& panel);

// Queries of a tile.
struct Q8Rows {
  const int8_t* high;        // h: [n_rows][d]
  const int8_t* low;         // l: [n_rows][d]
  const int32_t* high_sums;  // [n_rows][d / kQ8BlockSize]: of the h of a block
  const int32_t* low_sums;   // [n_rows][d / kQ8BlockSize]
  int64_t n_rows;
};

// Bit j of survivors[r * kSurvivorStride]: whether f(row r, key j) >= thresholds[r]; a score that is NaN survives. The
// same bits on every SIMD target that has a fused multiply-add. No allocation; any thread.
void ScanQ8(const Q8Rows& rows, const Q8Panel& panel, int64_t d, const float* thresholds, uint64_t* survivors);
void ScanQ8Reference(const Q8Rows& rows, const Q8Panel& panel, int64_t d, const float* thresholds, uint64_t* survivors);

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCAN_Q8_H_
