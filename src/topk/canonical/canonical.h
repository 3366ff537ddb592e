// The canonical score: q.k summed in f64 in one fixed order, so that every SIMD target and the reference get the same
// bits and thus the same selected set.
//
//   dot = reduce(lane_0, ..., lane_7),  lane_l = sum over i = l, l + 8, l + 16, ... of q_i * k_i, in that order
//   reduce: ((lane_0 + lane_4) + (lane_2 + lane_6)) + ((lane_1 + lane_5) + (lane_3 + lane_7))
//
// Products of two f32 are exact in f64, so a fused multiply-add rounds as a multiply and an add do.
#ifndef TOPK_SRC_CANONICAL_CANONICAL_H_
#define TOPK_SRC_CANONICAL_CANONICAL_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"

namespace topk {

inline constexpr int kCanonicalLanes = 8;

// dots[i] = q . (key keys[i] of `head_keys`) for every i. q: d f32. head_keys: the view of one batch and KV head, whose
// row of key j is head_keys.Row(0, j, 0). No allocation; any thread.
void CanonicalDots(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys,
                   double* dots);

// The same by a loop that the eye can check.
double CanonicalDotReference(const float* q, DataType type, const uint8_t* key_row, int64_t d);

}  // namespace topk

#endif  // TOPK_SRC_CANONICAL_CANONICAL_H_
