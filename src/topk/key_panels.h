// The keys of a call as panels, packed once for all tiles of rows: in f32, four bytes of scratch for each number of K,
// or where AMX multiplies them split in parts of bf16, six bytes.
#ifndef TOPK_SRC_KEY_PANELS_H_
#define TOPK_SRC_KEY_PANELS_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/load/pack.h"
#include "topk/parallel.h"
#include "topk/scan/scan.h"
#include "topk/scan/scan_split.h"

namespace topk {

class KeyPanels {
 public:
  KeyPanels(Carver& carver, const Call& call, int n_workers);

  // Whether AMX scores all keys sooner than integers rule most of them out: up to 2,048, whose scores stay in the L2
  // cache until the selection reads them.
  static bool AreFasterThanIntegers(const Call& call);

  // Packs all keys of the call.
  void Run(const Executor& executor);

  // A tile's queries as Multiply wants them: what `rows` holds ([n_rows <= kTileRows][PadToLanes(d)]) and, if keys are
  // split, their parts, into parts[PartsSize].
  struct Queries {
    const float* rows;
    uint16_t* parts;
    int64_t n_rows;
  };
  static int64_t PartsSize(const Call& call) { return CanScanSplit() ? SplitRowsSize(kTileRows, call.input.d_k) : 0; }
  void Prepare(const Queries& queries) const;
  // scores[r - first_row][0, kBlockKeys) = q'_r . k for the block that starts at a key, which is a multiple of
  // kBlockKeys, and the queries r of [first_row, end_row); scores of others of the tile may be written as well. Past
  // the last key: 0.
  void Multiply(int64_t batch, int64_t head_kv, int64_t first_key, const Queries& queries, int64_t first_row,
                int64_t end_row, float* scores, int64_t stride) const;

  // magnitude[0, PadToLanes(d)): the largest numbers of each dimension of the blocks of keys [begin, end), at least
  // what ScanError needs.
  void FindMagnitude(int64_t batch, int64_t head_kv, int64_t begin, int64_t end, int32_t* magnitude) const;

 private:
  int64_t BlockOf(int64_t batch, int64_t head_kv, int64_t first_key) const {
    return (batch * call_.input.n_head_kv + head_kv) * n_blocks_ + first_key / kBlockKeys;
  }
  void PackChunk(int64_t index, int worker) const;

  const Call& call_;
  int64_t n_blocks_;  // of each head
  int64_t n_chunks_;  // tasks of each head
  bool is_split_;
  float* panels_;              // [batch][head][n_blocks_][d][kBlockKeys]; if keys are split, one panel for each worker
  uint16_t* split_ = nullptr;  // [batch][head][n_blocks_][SplitPanelSize(d)]
  int32_t* magnitudes_;        // [batch][head][n_blocks_][PadToLanes(d)]
};

}  // namespace topk

#endif  // TOPK_SRC_KEY_PANELS_H_
