// Dropout of weights, decided by a counter-based hash: the same for every thread count, and replayed by the backward
// pass rather than stored (after Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
//
//   weights[j] becomes keep(row, keys[j]) ? weights[j] / (1 - p) : 0
//   keep(row, key) = mix(mix(key ^ a) + b) >= 2^32 p,    a, b: the halves of a 64-bit hash of seed and row
//
// mix: the 32-bit finaliser of Wellons' hash-prospector (lowbias32), a bijection, so the keys of a row get different
// numbers.
#ifndef TOPK_SRC_DROPOUT_DROPOUT_H_
#define TOPK_SRC_DROPOUT_DROPOUT_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"

namespace topk {

// What decides about the keys of one row.
struct DropoutRow {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t threshold = 0;  // 0: nothing is dropped
  float factor = 1.0F;     // of what is kept

  // row: its number in the order of outputs, [batch, query, head].
  static DropoutRow Of(const AttentionInput& input, int64_t row);
};

// weights[j] after dropout, in place. A weight that is dropped is 0, even if it was NaN. No allocation; any thread.
void DropWeights(const DropoutRow& row, std::span<const KeyIndex> keys, float* weights);
void DropWeightsReference(const DropoutRow& row, std::span<const KeyIndex> keys, float* weights);

// The factor of one weight.
float DropoutFactor(const DropoutRow& row, KeyIndex key);

}  // namespace topk

#endif  // TOPK_SRC_DROPOUT_DROPOUT_H_
