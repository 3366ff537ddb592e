// Which keys a query may see, found by one pass over its mask row and shared by all heads.
#ifndef TOPK_SRC_VISIBILITY_VISIBILITY_H_
#define TOPK_SRC_VISIBILITY_VISIBILITY_H_

#include <cstdint>

#include "topk/attention.h"

namespace topk {

struct Visibility {
  KeyIndex begin = 0;  // visible keys lie in [begin, end)
  KeyIndex end = 0;
  KeyIndex count = 0;
  bool is_zero = false;       // the mask of every visible key is 0
  bool is_range = false;      // and every key of [begin, end) is visible: no mask need be read
  bool is_finite = true;      // no visible mask is NaN or infinite
  KeyIndex sinks_end = 0;     // visible keys below it are the first min(sinks, count)
  KeyIndex window_begin = 0;  // visible keys from it on are the last min(window, count); >= sinks_end
  // Visible keys outside sinks and window: those that compete for the budget.
  KeyIndex n_competing = 0;
  const KeyIndex* keys = nullptr;  // [count] the visible keys, ascending, if they were listed (visible_keys.h)
};

// The visibility of keys [0, end) under a mask row of at least `end` numbers (f16 or f32); null: all are visible.
// O(end); vectorised. No allocation; any thread.
Visibility FindVisibility(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t sinks, int64_t window);
Visibility FindVisibilityReference(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t sinks,
                                   int64_t window);

// Bit j of bits[b]: whether key begin + 64 b + j is visible, for keys below `end`; 0 for those beyond, which are not
// looked at. `mask` is not null; words: those of [begin, end), the last one filled up. No allocation; any thread.
void FindVisibleBits(DataType mask_type, const uint8_t* mask, KeyIndex begin, KeyIndex end, uint64_t* bits);
void FindVisibleBitsReference(DataType mask_type, const uint8_t* mask, KeyIndex begin, KeyIndex end, uint64_t* bits);

// Whether key j of a mask row is visible.
bool IsVisible(DataType mask_type, const uint8_t* mask, KeyIndex j);

}  // namespace topk

#endif  // TOPK_SRC_VISIBILITY_VISIBILITY_H_
