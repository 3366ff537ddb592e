// Rows that see few keys, scattered over many: models with trained sparse attention, one of many sequences in a shared
// cache. The visible keys are listed from the mask and only they are read, in blocks as if they were neighbours; what
// follows is what a scan does. So such a row costs O(visible keys * d) and a look at its mask. Decided row by row from
// what the mask leaves visible (Call::Gathers): no promise of the caller's is needed, and none can mislead it. With one
// (AttentionInput::most_visible) the keys are listed once for all KV heads, and few queries are split into fewer parts.
//
// All heads of a group that share a mask row share the reading of K, and of V if they run dense.
#ifndef TOPK_SRC_GATHER_H_
#define TOPK_SRC_GATHER_H_

#include <cstdint>
#include <span>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/tile.h"
#include "topk/visibility/visible_keys.h"

namespace topk {

class Gather {
 public:
  // Lays out the scratch of one worker.
  static Gather Take(Carver& carver);

  // Scans the visible keys of [begin, end) for the part's gathered_rows(), which are of one batch and KV head.
  void Scan(const Call& call, int64_t batch, int64_t head_kv, int64_t begin, int64_t end, const Workspace& work,
            const TilePart& part) const;

 private:
  // Rows that see the same keys, their sums of values and what they read.
  struct Group {
    std::span<RowState> rows;
    float* sums;
    TensorView keys;
    TensorView values;
  };
  void ScanGroup(const Call& call, const Group& group, int64_t begin, int64_t end, const Workspace& work) const;
  void ScanBlock(const Call& call, const Group& group, std::span<const KeyIndex> listed, int64_t count,
                 const Workspace& work) const;
  void CopyMask(const Call& call, const uint8_t* mask, std::span<const KeyIndex> block) const;
  void OfferBlock(RowState& row, std::span<const KeyIndex> block, float* scores) const;

  VisibleKeysScratch visible_;
  uint8_t* mask_ = nullptr;        // [kBlockKeys] numbers of the mask's type: those of a block's keys
  float* kept_scores_ = nullptr;   // [kBlockKeys + kMaxLanes]: those that reach a row's floor
  KeyIndex* kept_keys_ = nullptr;  // [kBlockKeys + kMaxLanes]
};

}  // namespace topk

#endif  // TOPK_SRC_GATHER_H_
