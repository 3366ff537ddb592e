// What a sample of the keys tells of a tile: a guess at the k-th best score of each row, so that the scan keeps little
// more than k keys of each from the first block on, and the transform to int8. Both may be poor: Candidates::HoldsBest
// tells of the one, QuantizeRows of the other.
#ifndef TOPK_SRC_KEY_SAMPLE_H_
#define TOPK_SRC_KEY_SAMPLE_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/int8_tile.h"
#include "topk/tile.h"

namespace topk {

class KeySample {
 public:
  // Lays out the scratch of one worker.
  static KeySample Take(Carver& carver, const Call& call);

  // Samples the keys of a tile. starts[r].guess: for sparse rows where the sample tells, the others are left alone.
  // int8: prepared, if not null. Returns whether it can be used and would leave few enough keys.
  bool Run(const Call& call, const Tile& tile, const Workspace& work, RowStart* starts, Int8Tile* int8) const;

 private:
  // Keys begin, begin + step, ...
  struct Places {
    int64_t begin = 0;
    int64_t step = 1;
    int64_t count = 0;
  };
  static Places Choose(const Call& call, const Tile& tile);
  bool ScoreInBf16(const Call& call, const Tile& tile, const TensorView& keys, const Places& places,
                   const Workspace& work) const;
  void Score(const Call& call, const Tile& tile, const Places& places, bool needs_ranges, const Workspace& work) const;
  int64_t GatherVisible(const Call& call, const Tile& tile, const Places& places, int64_t row) const;
  bool PrepareInt8(const Call& call, const Tile& tile, const Workspace& work, Int8Tile& int8) const;

  float* scores_ = nullptr;   // [blocks of the sample][rows][kBlockKeys]
  float* low_ = nullptr;      // [d][kMaxLanes]: see TrackRanges
  float* high_ = nullptr;     // [d][kMaxLanes]
  float* visible_ = nullptr;  // of one row: the scores that compete
  KeyIndex* keys_ = nullptr;  // and where they are in the sample
};

}  // namespace topk

#endif  // TOPK_SRC_KEY_SAMPLE_H_
