// The rows of a tile against q8_0 keys as the integers that they are (scan/scan_q8.h), numbered as the tile has them.
#ifndef TOPK_SRC_Q8_TILE_ROWS_H_
#define TOPK_SRC_Q8_TILE_ROWS_H_

#include <cstdint>
#include <span>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/int8_segment.h"
#include "topk/key_ranges.h"
#include "topk/tile.h"

namespace topk {

// The same functions as TransformedRows has.
class Q8TileRows {
 public:
  static Q8TileRows Take(Carver& carver, const Call& call);

  bool Prepare(int64_t d, int64_t n_rows, const float* queries, const KeyRanges& ranges, int32_t* magnitude);
  double TypicalError(int64_t row) const { return scale_[row] * norm_[row] * norm_limit_; }
  void Load(const Call& call, std::span<const RowState> rows, const Int8Segment& segment) const;
  bool Pack(const KeyBlock& keys, int64_t d, int64_t block, const Int8Segment& segment) const;
  void FindSurvivors(const Call& call, std::span<const RowState> rows, int64_t n_blocks,
                     const Int8Segment& segment) const;

 private:
  bool QuantizeRow(int64_t d, int64_t row, const float* query);

  double norm_limit_ = 0.0;       // of keys that fit
  int8_t* high_ = nullptr;        // h [rows][d]
  int8_t* low_ = nullptr;         // l [rows][d]
  int32_t* high_sums_ = nullptr;  // [rows][d / kQ8BlockSize]
  int32_t* low_sums_ = nullptr;   // [rows][d / kQ8BlockSize]
  double* scale_ = nullptr;       // s [rows]
  double* norm_ = nullptr;        // [rows]: |r| + (d/32 + 2) u |N|
};

}  // namespace topk

#endif  // TOPK_SRC_Q8_TILE_ROWS_H_
