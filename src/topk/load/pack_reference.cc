#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "topk/load/pack.h"
#include "topk/numeric.h"

namespace topk {

namespace {

std::vector<KeyIndex> Range(int64_t first, int64_t count) {
  std::vector<KeyIndex> keys(static_cast<size_t>(count));
  std::iota(keys.begin(), keys.end(), static_cast<KeyIndex>(first));
  return keys;
}

}  // namespace

bool PackKeysReference(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel,
                       int32_t* magnitude) {
  return PackListedKeysReference(keys, Range(first, count), count, d, panel, magnitude);
}

bool PackListedKeysReference(const TensorView& keys, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                             float* panel, int32_t* magnitude) {
  bool grew = false;
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < kBlockKeys; ++j) {
      const float x = j < count ? ReadNumber(keys.type, keys.Row(0, listed[j], 0), i) : 0.0F;
      panel[i * kBlockKeys + j] = x;
      const int32_t bits = std::bit_cast<int32_t>(x) & 0x7FFFFFFF;
      grew |= bits > magnitude[i];
      magnitude[i] = std::max(magnitude[i], bits);
    }
  }
  return grew;
}

bool PackValuesReference(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel) {
  return PackListedValuesReference(values, Range(first, count), count, d, panel);
}

bool PackListedValuesReference(const TensorView& values, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                               float* panel) {
  const int64_t padded = PadToLanes(d);
  bool all_finite = true;
  std::fill_n(panel, kBlockKeys * padded, 0.0F);
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t i = 0; i < d; ++i) {
      const float x = ReadNumber(values.type, values.Row(0, listed[j], 0), i);
      panel[j * padded + i] = x;
      all_finite &= std::isfinite(x);
    }
  }
  return all_finite;
}

}  // namespace topk
