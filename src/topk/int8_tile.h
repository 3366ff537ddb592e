// The scan in integers of few rows: keys are turned into int8 as they come from memory, scanned and forgotten. What it
// needs to know of the keys beforehand, and the rows' guesses, come from a sample of them. As in integer_scan.h,
// integers only rule keys out; those left are scored in f32, and the selected set is the exact one whatever the sample
// was.
#ifndef TOPK_SRC_INT8_TILE_H_
#define TOPK_SRC_INT8_TILE_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/int8_segment.h"
#include "topk/key_ranges.h"
#include "topk/q8_tile_rows.h"
#include "topk/tile.h"
#include "topk/transformed_rows.h"

namespace topk {

// Keys [begin, end), and what is fetched ahead while they are scanned.
struct KeySegment {
  int64_t begin;
  int64_t end;
  FetchAhead ahead;
};

// The rows of a tile, numbered as the tile has them, in integers.
class Int8Tile {
 public:
  static Int8Tile Take(Carver& carver, const Call& call);

  // queries: q' of the rows, [rows][PadToLanes(d)]. False, and then nothing else may be called, if the keys or queries
  // do not suit integers.
  bool Prepare(const Call& call, const Tile& tile, const float* queries, const KeyRanges& ranges);

  // How far the score of a row may be off, about: what makes survivors of keys below the floor.
  double TypicalError(int64_t row) const { return is_q8_ ? q8_.TypicalError(row) : transformed_.TypicalError(row); }

  // Offers the keys to part.int8_rows().
  void Scan(const Call& call, const Tile& tile, TilePart& part, const KeySegment& keys, const Workspace& work,
            const Int8Segment& segment) const;

 private:
  template <class Rows>
  void ScanWith(const Rows& integers, const Call& call, const Tile& tile, TilePart& part, const KeySegment& keys,
                const Workspace& work, const Int8Segment& segment) const;

  bool is_q8_ = false;  // which of the two it is
  Q8TileRows q8_;
  TransformedRows transformed_;
  int32_t* magnitude_ = nullptr;  // [PadToLanes(d)]: bits of the largest number that fits
  float* queries_ = nullptr;      // [rows][PadToLanes(d)]
  float* error_ = nullptr;        // [rows]: of f32 scores
};

}  // namespace topk

#endif  // TOPK_SRC_INT8_TILE_H_
