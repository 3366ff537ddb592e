#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "topk/load/pack.h"
#include "topk/numeric.h"
#include "topk/visibility/visibility.h"

namespace topk {

bool IsVisible(DataType mask_type, const uint8_t* mask, KeyIndex j) {
  return mask == nullptr || ReadNumber(mask_type, mask, j) != -std::numeric_limits<float>::infinity();
}

Visibility FindVisibilityReference(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t sinks,
                                   int64_t window) {
  Visibility out;
  std::vector<KeyIndex> visible;
  bool plain = true;
  for (KeyIndex j = 0; j < end; ++j) {
    if (!IsVisible(mask_type, mask, j)) continue;
    visible.push_back(j);
    const float bias = mask == nullptr ? 0.0F : ReadNumber(mask_type, mask, j);
    plain &= bias == 0.0F;
    out.is_finite &= std::isfinite(bias);
  }
  if (visible.empty()) return out;
  const auto count = static_cast<int64_t>(visible.size());
  out.begin = visible.front();
  out.end = visible.back() + 1;
  out.count = static_cast<KeyIndex>(count);
  out.is_zero = plain;
  out.is_range = plain && out.end - out.begin == out.count;
  const int64_t n_sinks = std::min(sinks, count);
  const int64_t n_window = std::min(window, count - n_sinks);
  out.sinks_end = n_sinks == 0 ? out.begin : visible[n_sinks - 1] + 1;
  out.window_begin = n_window == 0 ? out.end : visible[count - n_window];
  out.n_competing = static_cast<KeyIndex>(count - n_sinks - n_window);
  return out;
}

void FindVisibleBitsReference(DataType mask_type, const uint8_t* mask, KeyIndex begin, KeyIndex end, uint64_t* bits) {
  for (KeyIndex block = begin; block < end; block += kBlockKeys, ++bits) {
    *bits = 0;
    for (KeyIndex j = block; j < std::min<KeyIndex>(block + kBlockKeys, end); ++j) {
      *bits |= uint64_t{IsVisible(mask_type, mask, j)} << (j - block);
    }
  }
}

}  // namespace topk
