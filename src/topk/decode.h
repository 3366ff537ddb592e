// Few queries: the keys of each KV head are split among tasks and the parts merged. All heads of a group and all
// queries of a head are one tile, so K is read once.
#ifndef TOPK_SRC_DECODE_H_
#define TOPK_SRC_DECODE_H_

#include <atomic>

#include "topk/arena.h"
#include "topk/call.h"
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
  void WidenChunks();
  void ScanChunk(int64_t index, Worker& worker) const;
  void FinishRow(int64_t index, Worker& worker, Statistics& statistics) const;

  const Call& call_;
  int64_t n_chunks_;  // of each tile
  int64_t chunk_keys_;
  TilePart* parts_;             // [tile][chunk]
  std::atomic<float>* floors_;  // [tile][row]
  Worker* workers_;
};

}  // namespace topk

#endif  // TOPK_SRC_DECODE_H_
