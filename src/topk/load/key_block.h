// A block of keys as they stand in memory, and what is to be fetched while they are looked at.
#ifndef TOPK_SRC_LOAD_KEY_BLOCK_H_
#define TOPK_SRC_LOAD_KEY_BLOCK_H_

#include <cstdint>

#include "topk/tensor.h"

namespace topk {

// Memory that is fetched into the L2 cache while something else is computed; it need not be there.
struct FetchAhead {
  const uint8_t* begin = nullptr;
  int64_t bytes = 0;

  // Part number `index` of `count`.
  FetchAhead Part(int64_t index, int64_t count) const {
    const int64_t first = bytes * index / count;
    return {begin + first, bytes * (index + 1) / count - first};
  }
};

// Keys [first, first + count) of one batch and KV head, count <= kBlockKeys.
struct KeyBlock {
  TensorView keys;
  int64_t first;
  int64_t count;
  FetchAhead ahead = {};
};

}  // namespace topk

#endif  // TOPK_SRC_LOAD_KEY_BLOCK_H_
