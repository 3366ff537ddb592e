// The visible keys of a mask row as a stream of lists, so that what follows costs as much as there are visible keys.
// Where few are promised, all of them are listed by the one look at the mask that finds the visibility.
#ifndef TOPK_SRC_VISIBILITY_VISIBLE_KEYS_H_
#define TOPK_SRC_VISIBILITY_VISIBLE_KEYS_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"
#include "topk/carver.h"
#include "topk/visibility/visibility.h"

namespace topk {

// Elements of a list that takes up to `most` visible keys, with what vectors write past the end.
int64_t ListCapacity(int64_t most);

// FindVisibility of a mask row that is not null, which is read once. If it leaves at most `most` keys visible they are
// in list[ListCapacity(most)] and Visibility::keys is `list`; else `list` holds nothing of use. O(end); any thread.
Visibility ListVisibility(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t sinks, int64_t window,
                          int64_t most, KeyIndex* list);

// Memory for one stream at a time.
struct VisibleKeysScratch {
  uint64_t* bits = nullptr;
  KeyIndex* listed = nullptr;

  static VisibleKeysScratch Take(Carver& carver);
};

class VisibleKeys {
 public:
  // The visible keys of [begin, end) under a mask row that is not null. The mask is read once, vectorised, as lists are
  // asked for.
  VisibleKeys(const VisibleKeysScratch& scratch, DataType mask_type, const uint8_t* mask, KeyIndex begin, KeyIndex end)
      : scratch_(scratch), mask_type_(mask_type), mask_(mask), next_(begin), end_(end), listed_(scratch.listed) {}

  // Those of [begin, end) where all are listed already. `visible` must outlive the stream.
  VisibleKeys(const Visibility& visible, KeyIndex begin, KeyIndex end);

  // The next keys, ascending: at least 2 * kBlockKeys, or all that are left; empty at the end. Stays as it is until
  // the next call.
  std::span<const KeyIndex> Peek();
  // Passes over the first `count` of them.
  void Skip(int64_t count) { first_ += count; }

 private:
  VisibleKeysScratch scratch_;
  DataType mask_type_ = DataType::kF16;
  const uint8_t* mask_ = nullptr;
  KeyIndex next_ = 0;  // the mask is read up to here
  KeyIndex end_ = 0;
  const KeyIndex* listed_;
  int64_t first_ = 0;  // listed[first_, last_) are still to come
  int64_t last_ = 0;
};

}  // namespace topk

#endif  // TOPK_SRC_VISIBILITY_VISIBLE_KEYS_H_
