// Keys straight from the cache to an int8 panel: for keys that are scanned once, where the transforms of
// quantize/quantize.h would cost more than the scan.
//
//   n_i = round(f_i k_i) - c_i        f_i: a power of two times one g for all i; c_i: an integer
//
// rounded to the nearest integer, with or without a fused multiply-add, so that with x_i = q_i g / f_i, which is exact
// in real numbers,
//
//   g q.k = sum_i x_i (c_i + n_i + r_i),   |r_i| <= kRowResidual
//
// c_i centres dimension i, f_i spreads it over the range of int8. With x_i rounded to s x^_i, x^_i int8,
//
//   |g q.k - sum_i x_i c_i - s sum_i x^_i n_i| <= |x - s x^| |n| + kRowResidual sum_i |x_i|     |.|: 2-norms
//
// A panel has its dimensions in an order of its own: number m of group g is dimension NumberAt(g, m).
#ifndef TOPK_SRC_QUANTIZE_QUANTIZE_ROWS_H_
#define TOPK_SRC_QUANTIZE_QUANTIZE_ROWS_H_

#include <cstdint>

#include "topk/load/key_block.h"
#include "topk/load/pack.h"
#include "topk/quantize/quantize.h"

namespace topk {

// Dimensions are dealt out in chunks of 32: group 8 c + l has dimensions 32 c + l + 8 m, m < 4.
inline constexpr int64_t kRowChunk = 32;
constexpr int64_t PadToRowChunks(int64_t d) { return (d + kRowChunk - 1) / kRowChunk * kRowChunk; }
constexpr int64_t NumberAt(int64_t group, int64_t m) {
  return group / 8 * kRowChunk + group % 8 + m * (kRowChunk / kGroup);
}

// Largest integer of a panel; the smallest is -128, and the bytes are 128 more.
inline constexpr float kLargestNumber = 127.0F;

// Half a unit, and what rounding f_i k_i before the sum adds where there is no fused multiply-add: 2^-24 of at most
// kLargestCentre + 128.
inline constexpr float kLargestCentre = 0x1p16F;
inline constexpr float kRowResidual = 0.51F;

// panel: QuantizedPanelBytes(PadToRowChunks(d)) bytes, 64-byte aligned, of the block's keys; what stands for other keys
// and dimensions is 0. factor, centre: f_i and c_i, |c_i| <= kLargestCentre, arrays of PadToRowChunks(d) with zeros
// from d on, 64-byte aligned. Returns |n|^2 of the key for which it is largest, or -1 if a number does not fit into
// int8, is infinite or NaN: the panel is then of no use. No allocation; any thread.
int32_t QuantizeRows(const KeyBlock& block, int64_t d, const float* factor, const float* centre, uint8_t* panel);
int32_t QuantizeRowsReference(const KeyBlock& block, int64_t d, const float* factor, const float* centre,
                              uint8_t* panel);

// Smallest and largest number of each dimension of a panel of PackKeys, lane by lane: low and high are [d][kMaxLanes]
// arrays, 64-byte aligned, that start at infinity and -infinity. What NaN does is left open.
void TrackRanges(const float* panel, int64_t d, float* low, float* high);

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZE_QUANTIZE_ROWS_H_
