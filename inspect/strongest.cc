#include "strongest.h"

#include <algorithm>
#include <cmath>

namespace qwen_infer::inspect {

uint8_t PackShare(double share) {
  constexpr double kSteps = 255;
  if (!(share > 0)) return 0;
  return static_cast<uint8_t>(std::lround(kSteps * std::sqrt(std::min(share, 1.0))));
}

void KeepStrongest(std::span<WeightOfKey> row, std::span<uint16_t> keys, std::span<uint8_t> weights) {
  const size_t count = std::min(row.size(), keys.size());
  const auto stronger = [](const WeightOfKey& a, const WeightOfKey& b) {
    return a.weight > b.weight || (a.weight == b.weight && a.key < b.key);
  };
  std::partial_sort(row.begin(), row.begin() + static_cast<ptrdiff_t>(count), row.end(), stronger);
  for (size_t i = 0; i < count; ++i) {
    keys[i] = static_cast<uint16_t>(row[i].key);
    weights[i] = PackShare(row[i].weight);
  }
  std::fill(keys.begin() + static_cast<ptrdiff_t>(count), keys.end(), 0);
  std::fill(weights.begin() + static_cast<ptrdiff_t>(count), weights.end(), 0);
}

}  // namespace qwen_infer::inspect
