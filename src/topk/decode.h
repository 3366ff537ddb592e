// Few queries: the keys of each KV head are split among tasks and the parts merged. All heads of a group and all
// queries of a head are one tile, so K is read once, but for a sample of it: each row starts from a guess at its k-th
// best score. Rows whose guess was too high, one in a thousand, are scanned again.
#ifndef TOPK_SRC_DECODE_H_
#define TOPK_SRC_DECODE_H_

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/int8_tile.h"
#include "topk/parallel.h"
#include "topk/tile.h"

namespace topk {

class Decode {
 public:
  // Whether a call is better split by keys than by rows.
  static bool Suits(const Call& call);

  Decode(Carver& carver, const Call& call, int n_workers);
  void Run(const Executor& executor, Statistics* statistics);

 private:
  struct Worker;
  void SampleTile(int64_t index, Worker& worker) const;
  void ScanChunk(int64_t index, Worker& worker) const;
  void ScanBlocksOfHeads(int64_t first_tile, int64_t chunk, Worker& worker) const;
  void ScanSegment(int64_t tile_index, int64_t first, int64_t last, Worker& worker, TilePart& part) const;
  bool SharesTokens() const;
  FetchAhead Next(const Tile& tile, int64_t first, int64_t count) const;
  void FinishRow(int64_t index, Worker& worker, Statistics& statistics) const;
  bool AllRowsDone() const;

  const Call& call_;
  int64_t n_chunks_;  // of each tile
  int64_t chunk_keys_;
  int64_t heads_at_once_;  // KV heads of a task, which scans a segment of each in turn
  int64_t segment_keys_;
  bool scans_bf16_;
  TilePart* parts_;            // [tile][chunk]
  RowStart* starts_;           // [tile][row]
  int32_t* magnitudes_;        // [tile][PadToLanes(d_k)]: of the sample's keys
  Int8Tile* int8_ = nullptr;   // [tile], or null
  bool* uses_int8_ = nullptr;  // [tile]
  Worker* workers_;
};

}  // namespace topk

#endif  // TOPK_SRC_DECODE_H_
