// The rows of a tile against transformed int8 keys (quantize/quantize_rows.h), numbered as the tile has them.
#ifndef TOPK_SRC_TRANSFORMED_ROWS_H_
#define TOPK_SRC_TRANSFORMED_ROWS_H_

#include <cstdint>
#include <span>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/int8_segment.h"
#include "topk/key_ranges.h"
#include "topk/tile.h"

namespace topk {

class TransformedRows {
 public:
  static TransformedRows Take(Carver& carver, const Call& call);

  // The transform, and the rows in int8; magnitude[i] becomes the bits of the largest number of dimension i that fits.
  // queries: q' of the rows, [n_rows][PadToLanes(d)]. False if the keys or queries allow no transform.
  bool Prepare(int64_t d, int64_t n_rows, const float* queries, const KeyRanges& ranges, int32_t* magnitude);

  // How far a score may be off, about.
  double TypicalError(int64_t row) const;

  // The rows of a part into the segment.
  void Load(const Call& call, std::span<const RowState> rows, const Int8Segment& segment) const;
  // Keys into the segment's panel number `block`; false if they do not fit into int8.
  bool Pack(const KeyBlock& keys, int64_t d, int64_t block, const Int8Segment& segment) const;
  // Which keys of the first n_blocks panels can reach what the rows need, into segment.survivors.
  void FindSurvivors(const Call& call, std::span<const RowState> rows, int64_t n_blocks,
                     const Int8Segment& segment) const;

 private:
  bool FindTransform(int64_t d, int64_t n_rows, const float* queries, const KeyRanges& ranges, int32_t* magnitude);
  bool QuantizeRow(int64_t d, int64_t row, const float* query);
  void FindBounds(const Call& call, std::span<const RowState> rows, const RowBounds& bounds) const;

  float* factor_ = nullptr;     // f [PadToRowChunks(d)]
  float* centre_ = nullptr;     // c [PadToRowChunks(d)]
  float gain_ = 1.0F;           // g
  double typical_norm_ = 0.0;   // of n
  int8_t* numbers_ = nullptr;   // x^ [rows][PadToRowChunks(d)]
  int32_t* sums_ = nullptr;     // [rows]: of x^
  double* offset_ = nullptr;    // [rows]: sum x c / g
  double* scale_ = nullptr;     // [rows]: s / g
  double* norm_ = nullptr;      // [rows]: |x - s x^| / s
  double* residual_ = nullptr;  // [rows]: kRowResidual sum |x| / s
};

}  // namespace topk

#endif  // TOPK_SRC_TRANSFORMED_ROWS_H_
