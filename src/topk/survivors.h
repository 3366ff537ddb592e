// What an integer scan leaves of a segment of keys: thresholds go in, bits of the keys that reached them come out, and
// the keys' f32 scores go to the candidates of their rows.
#ifndef TOPK_SRC_SURVIVORS_H_
#define TOPK_SRC_SURVIVORS_H_

#include <cstdint>

#include "topk/carver.h"
#include "topk/tile.h"

namespace topk {

struct Survivors {
  int32_t* thresholds = nullptr;  // [n_blocks][kIntegerStride]
  uint64_t* bits = nullptr;       // [kIntegerStride][kSurvivorStride]
  uint64_t* visible = nullptr;    // [n_blocks]: the keys that a mask leaves visible
  KeyIndex* listed = nullptr;     // [n_blocks * kBlockKeys + kMaxLanes]
  float* scores = nullptr;        // [n_blocks * kBlockKeys + kMaxLanes]

  // Room for segments of n_blocks blocks, at most kMostScannedBlocks.
  static Survivors Take(Carver& carver, int64_t n_blocks);

  // Drops those that the row's mask hides: keys between the visible ones have been scanned with them. `mask` has the
  // mask that `visible` is of, null before the first row.
  void DropHidden(const Call& call, const RowState& row, int64_t slot, int64_t first_key, int64_t n_blocks,
                  const uint8_t*& mask) const;

  // Scores those of bits[slot * kSurvivorStride + b], b < n_blocks, that compete in the row, and offers them. The first
  // block starts at key first_key; bits of end_key and beyond mean nothing. keys: of the KV head; query: the row's q',
  // as ScoreKeys wants it.
  void Offer(const TensorView& keys, int64_t d, int64_t first_key, int64_t end_key, int64_t n_blocks, int64_t slot,
             const float* query, RowState& row) const;
};

}  // namespace topk

#endif  // TOPK_SRC_SURVIVORS_H_
