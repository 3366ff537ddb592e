#include "topk/int8_tile.h"

#include <algorithm>

#include "topk/load/pack.h"
#include "topk/scan/scan.h"

namespace topk {

Int8Tile Int8Tile::Take(Carver& carver, const Call& call) {
  const int64_t n_rows = std::min(kTileRows, call.RowsPerHeadKv());
  const int64_t stride = PadToLanes(call.input.d_k);
  Int8Tile tile;
  tile.is_q8_ = call.input.k.type == DataType::kQ8_0;
  if (tile.is_q8_) {
    tile.q8_ = Q8TileRows::Take(carver, call);
  } else {
    tile.transformed_ = TransformedRows::Take(carver, call);
  }
  tile.magnitude_ = carver.Take<int32_t>(stride);
  tile.queries_ = carver.Take<float>(n_rows * stride);
  tile.error_ = carver.Take<float>(n_rows);
  return tile;
}

bool Int8Tile::Prepare(const Call& call, const Tile& tile, const float* queries, const KeyRanges& ranges) {
  const int64_t d = call.input.d_k;
  const int64_t stride = PadToLanes(d);
  std::copy_n(queries, tile.n_rows * stride, queries_);
  std::fill_n(magnitude_, stride, 0);
  const bool suits = is_q8_ ? q8_.Prepare(d, tile.n_rows, queries_, ranges, magnitude_)
                            : transformed_.Prepare(d, tile.n_rows, queries_, ranges, magnitude_);
  if (!suits) return false;
  for (int64_t r = 0; r < tile.n_rows; ++r) error_[r] = ScanError(queries_ + r * stride, magnitude_, d, 0.0F);
  return std::none_of(error_, error_ + tile.n_rows, IsTooCoarse);
}

void Int8Tile::Scan(const Call& call, const Tile& tile, TilePart& part, const KeySegment& keys, const Workspace& work,
                    const Int8Segment& segment) const {
  if (is_q8_) {
    ScanWith(q8_, call, tile, part, keys, work, segment);
  } else {
    ScanWith(transformed_, call, tile, part, keys, work, segment);
  }
}

template <class Rows>
void Int8Tile::ScanWith(const Rows& integers, const Call& call, const Tile& tile, TilePart& part,
                        const KeySegment& keys, const Workspace& work, const Int8Segment& segment) const {
  const std::span<RowState> rows = part.int8_rows();
  const int64_t d = call.input.d_k;
  const auto n_rows = static_cast<int64_t>(rows.size());
  int64_t first_key = call.input.n_key;
  int64_t last_key = 0;
  for (RowState& row : rows) {
    row.candidates.SetError(error_[call.RowInHeadKv(row.id)]);
    first_key = std::min<int64_t>(first_key, row.visible->sinks_end);
    last_key = std::max<int64_t>(last_key, row.visible->window_begin);
  }
  integers.Load(call, rows, segment);
  const TensorView head_keys = call.KeysOf(tile.batch, tile.head_kv);
  last_key = std::min(last_key, keys.end);
  const int64_t n_segment_blocks = BlockCount(keys.end - keys.begin);
  for (first_key = std::max(first_key, keys.begin); first_key < last_key;) {
    int64_t n_blocks = 0;
    int64_t next = first_key;
    bool fits = true;
    for (; n_blocks < Int8Segment::kSegmentBlocks && next < last_key && fits; next += kBlockKeys) {
      const FetchAhead ahead = keys.ahead.Part((next - keys.begin) / kBlockKeys, n_segment_blocks);
      fits = integers.Pack({head_keys, next, std::min(kBlockKeys, last_key - next), ahead}, d, n_blocks, segment);
      n_blocks += fits ? 1 : 0;
    }
    integers.FindSurvivors(call, rows, n_blocks, segment);
    const uint8_t* mask = nullptr;
    for (int64_t slot = 0; slot < n_rows; ++slot) {
      if (rows[slot].is_canonical) continue;  // a block that does not fit has shown that it must be
      segment.survivors.DropHidden(call, rows[slot], slot, first_key, n_blocks, mask);
      const float* query = queries_ + call.RowInHeadKv(rows[slot].id) * PadToLanes(d);
      segment.survivors.Offer(head_keys, d, first_key, last_key, n_blocks, slot, query, rows[slot]);
    }
    first_key = next;
    if (fits) continue;
    // The last block does not fit.
    part.Scan(call, tile.batch, tile.head_kv, rows, next - kBlockKeys, std::min(next, last_key), work);
  }
}

}  // namespace topk
