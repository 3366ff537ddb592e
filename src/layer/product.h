// Sizes of tensors that others name: products that may be beyond 63 bits.
#ifndef TOPK_SRC_LAYER_PRODUCT_H_
#define TOPK_SRC_LAYER_PRODUCT_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

namespace topk {

// Product of counts (0 or more); empty if it is beyond 63 bits.
inline std::optional<int64_t> Product(std::span<const int64_t> counts) {
  if (std::find(counts.begin(), counts.end(), 0) != counts.end()) return 0;
  int64_t product = 1;
  for (const int64_t n : counts) {
    if (n > std::numeric_limits<int64_t>::max() / product) return {};
    product *= n;
  }
  return product;
}

}  // namespace topk

#endif  // TOPK_SRC_LAYER_PRODUCT_H_
