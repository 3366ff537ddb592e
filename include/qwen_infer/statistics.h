// What top-k attention did, layer by layer.
#ifndef QWEN_INFER_STATISTICS_H_
#define QWEN_INFER_STATISTICS_H_

#include <cstdint>

#include "topk/attention.h"

namespace qwen_infer {

// The layer of attention that belongs to none that we know of: it gets the settings without a layer.
inline constexpr int kUnknownLayer = -1;

struct LayerStatistics {
  int layer = kUnknownLayer;
  int64_t calls = 0;           // attention ops computed
  int64_t fallback_calls = 0;  // those of them that computed full attention for every row
  topk::Statistics sums;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_STATISTICS_H_
