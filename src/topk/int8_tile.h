// The certified int8 scan of few rows: keys are quantised as they come from memory (quantize/quantize_rows.h), scanned
// and forgotten. Its transform and the rows' guesses come from a sample of the keys. As in int8_scan.h, int8 only rules
// keys out; those left are scored in f32, and the selected set is the exact one whatever the sample was.
#ifndef TOPK_SRC_INT8_TILE_H_
#define TOPK_SRC_INT8_TILE_H_

#include <cstdint>
#include <span>

#include "topk/arena.h"
#include "topk/call.h"
#include "topk/scan/scan_integers.h"
#include "topk/survivors.h"
#include "topk/tile.h"

namespace topk {

// Per thread: panels of a segment and what is left of it.
struct Int8Segment {
  uint8_t* panels = nullptr;  // [kSegmentBlocks][QuantizedPanelBytes(PadToRowChunks(d))]
  float* norms = nullptr;     // [kSegmentBlocks]: |n|, at least
  float* ones = nullptr;      // [kSegmentBlocks]
  int8_t* numbers = nullptr;  // of the rows in the part's order
  int32_t* sums = nullptr;    // of the rows in the part's order
  RowBounds bounds{};
  Survivors survivors;

  static constexpr int64_t kSegmentBlocks = 16;
  static Int8Segment Take(Carver& carver, const Call& call);
};

// The rows of a tile, numbered as the tile has them, in int8; and the transform of their keys.
class Int8Tile {
 public:
  static Int8Tile Take(Carver& carver, const Call& call);

  // The transform from the range of each dimension in a sample of the keys (low, high: d numbers), and the rows in it.
  // queries: q' of the rows, [rows][PadToLanes(d)]. False, and then nothing else may be called, if the keys or
  // queries allow none.
  bool Prepare(const Call& call, const Tile& tile, const float* queries, const float* low, const float* high);

  // How far an int8 score of a row may be off, about: what makes survivors of keys below the floor.
  double TypicalError(int64_t row) const;

  // Offers the keys of [begin, end) to part.int8_rows().
  void Scan(const Call& call, const Tile& tile, TilePart& part, int64_t begin, int64_t end, const Workspace& work,
            const Int8Segment& segment) const;

 private:
  bool FindTransform(int64_t d, int64_t n_rows, const float* low, const float* high);
  bool QuantizeRow(int64_t d, int64_t row);
  void FindBounds(const Call& call, std::span<const RowState> rows, const RowBounds& bounds) const;

  float* factor_ = nullptr;       // f [PadToRowChunks(d)]
  float* centre_ = nullptr;       // c [PadToRowChunks(d)]
  int32_t* magnitude_ = nullptr;  // [PadToLanes(d)]: bits of the largest number that fits into int8
  float gain_ = 1.0F;             // g
  double typical_norm_ = 0.0;     // of n
  float* queries_ = nullptr;      // [rows][PadToLanes(d)]
  int8_t* numbers_ = nullptr;     // x^ [rows][PadToRowChunks(d)]
  int32_t* sums_ = nullptr;       // [rows]: of x^
  double* offset_ = nullptr;      // [rows]: sum x c / g
  double* scale_ = nullptr;       // [rows]: s / g
  double* norm_ = nullptr;        // [rows]: |x - s x^| / s
  double* residual_ = nullptr;    // [rows]: kRowResidual sum |x| / s
  float* error_ = nullptr;        // [rows]: of f32 scores
};

}  // namespace topk

#endif  // TOPK_SRC_INT8_TILE_H_
