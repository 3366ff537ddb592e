// The keys of a call as f32 panels, packed once for all tiles of rows: four bytes of scratch for each number of K.
#ifndef TOPK_SRC_KEY_PANELS_H_
#define TOPK_SRC_KEY_PANELS_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/load/pack.h"
#include "topk/parallel.h"

namespace topk {

class KeyPanels {
 public:
  KeyPanels(Carver& carver, const Call& call);

  // Packs all keys of the call.
  void Run(const Executor& executor);

  // Of the block that starts at a key, which is a multiple of kBlockKeys: [d][kBlockKeys], zeros past the last key.
  const float* PanelOf(int64_t batch, int64_t head_kv, int64_t first_key) const {
    return panels_ + BlockOf(batch, head_kv, first_key) * call_.input.d_k * kBlockKeys;
  }
  // magnitude[0, PadToLanes(d)): the largest numbers of each dimension of the blocks of keys [begin, end).
  void FindMagnitude(int64_t batch, int64_t head_kv, int64_t begin, int64_t end, int32_t* magnitude) const;

 private:
  int64_t BlockOf(int64_t batch, int64_t head_kv, int64_t first_key) const {
    return (batch * call_.input.n_head_kv + head_kv) * n_blocks_ + first_key / kBlockKeys;
  }
  void PackChunk(int64_t index) const;

  const Call& call_;
  int64_t n_blocks_;  // of each head
  int64_t n_chunks_;  // tasks of each head
  float* panels_;
  int32_t* magnitudes_;  // [batch][head][n_blocks_][PadToLanes(d)]
};

}  // namespace topk

#endif  // TOPK_SRC_KEY_PANELS_H_
