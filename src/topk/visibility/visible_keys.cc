#include "topk/visibility/visible_keys.h"

#include <algorithm>

#include "topk/load/pack.h"
#include "topk/select/select.h"
#include "topk/visibility/visibility.h"

namespace topk {

namespace {

// Keys whose mask is read at once: 8 KiB of f16.
constexpr int64_t kSegmentKeys = 4096;
// Keys that are listed before they are asked for, so that one block can be fetched while another is used; more of
// them, so that they are seldom moved to the front.
constexpr int64_t kListedAhead = 2 * kBlockKeys;
constexpr int64_t kRefill = 1024;

}  // namespace

VisibleKeysScratch VisibleKeysScratch::Take(Carver& carver) {
  return {.bits = carver.Take<uint64_t>(kSegmentKeys / kBlockKeys),
          .listed = carver.Take<KeyIndex>(kRefill + kSegmentKeys + kMaxLanes)};
}

std::span<const KeyIndex> VisibleKeys::Peek() {
  if (last_ - first_ < kListedAhead && next_ < end_) {
    std::copy(scratch_.listed + first_, scratch_.listed + last_, scratch_.listed);
    last_ -= first_;
    first_ = 0;
    while (last_ < kRefill && next_ < end_) {
      const KeyIndex segment_end = std::min<KeyIndex>(next_ + kSegmentKeys, end_);
      FindVisibleBits(mask_type_, mask_, next_, segment_end, scratch_.bits);
      const int64_t n_words = BlockCount(segment_end - next_);
      last_ += ListKeys(scratch_.bits, n_words, next_, scratch_.listed + last_);
      next_ = segment_end;
    }
  }
  return {scratch_.listed + first_, static_cast<size_t>(last_ - first_)};
}

}  // namespace topk
