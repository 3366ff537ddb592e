#include "topk/visibility/visible_keys.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "topk/load/pack.h"
#include "topk/numeric.h"
#include "topk/select/select.h"

namespace topk {

namespace {

// Keys whose mask is read at once: 8 KiB of f16.
constexpr int64_t kSegmentKeys = 4096;
// Keys that are listed before they are asked for, so that one block can be fetched while another is used; more of
// them, so that they are seldom moved to the front.
constexpr int64_t kListedAhead = 2 * kBlockKeys;
constexpr int64_t kRefill = 1024;
constexpr int64_t kSegmentWords = kSegmentKeys / kBlockKeys;

// Lists the visible keys below `end`; returns how many, or nothing if there are more than `most`.
std::optional<int64_t> List(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t most, KeyIndex* list) {
  uint64_t bits[kSegmentWords];
  int64_t count = 0;
  for (KeyIndex next = 0; next < end; next += kSegmentKeys) {
    const KeyIndex segment_end = std::min<KeyIndex>(next + kSegmentKeys, end);
    FindVisibleBits(mask_type, mask, next, segment_end, bits);
    const std::span<const uint64_t> words(bits, static_cast<size_t>(BlockCount(segment_end - next)));
    const int64_t n_segment = std::accumulate(words.begin(), words.end(), int64_t{0},
                                              [](int64_t sum, uint64_t word) { return sum + std::popcount(word); });
    if (count + n_segment > most) return std::nullopt;
    count += ListKeys(bits, static_cast<int64_t>(words.size()), next, list + count);
  }
  return count;
}

}  // namespace

int64_t ListCapacity(int64_t most) { return most + kMaxLanes; }

Visibility ListVisibility(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t sinks, int64_t window,
                          int64_t most, KeyIndex* list) {
  const std::optional<int64_t> count = List(mask_type, mask, end, most, list);
  if (!count) return FindVisibility(mask_type, mask, end, sinks, window);
  Visibility out;
  if (*count == 0) return out;
  out.keys = list;
  out.begin = list[0];
  out.end = list[*count - 1] + 1;
  out.count = static_cast<KeyIndex>(*count);
  out.is_zero = true;
  for (const KeyIndex key : std::span(list, static_cast<size_t>(*count))) {
    const float bias = ReadNumber(mask_type, mask, key);
    out.is_zero &= bias == 0.0F;
    out.is_finite &= std::isfinite(bias);
  }
  out.is_range = out.is_zero && out.count == out.end - out.begin;
  const int64_t n_sinks = std::min<int64_t>(sinks, *count);
  const int64_t n_window = std::min<int64_t>(window, *count - n_sinks);
  out.sinks_end = n_sinks == 0 ? out.begin : list[n_sinks - 1] + 1;
  out.window_begin = n_window == 0 ? out.end : list[*count - n_window];
  out.n_competing = static_cast<KeyIndex>(*count - n_sinks - n_window);
  return out;
}

VisibleKeys::VisibleKeys(const Visibility& visible, KeyIndex begin, KeyIndex end) : listed_(visible.keys) {
  const auto place_of = [&](KeyIndex key) {
    return std::lower_bound(visible.keys, visible.keys + visible.count, key) - visible.keys;
  };
  first_ = place_of(begin);
  last_ = place_of(end);
}

VisibleKeysScratch VisibleKeysScratch::Take(Carver& carver) {
  return {.bits = carver.Take<uint64_t>(kSegmentWords),
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
  return {listed_ + first_, static_cast<size_t>(last_ - first_)};
}

}  // namespace topk
