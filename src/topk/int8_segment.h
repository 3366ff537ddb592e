// Per thread: blocks of keys in integers, the rows to scan them for, and what the scan leaves.
#ifndef TOPK_SRC_INT8_SEGMENT_H_
#define TOPK_SRC_INT8_SEGMENT_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/scan/scan_integers.h"
#include "topk/scan/scan_q8.h"
#include "topk/survivors.h"

namespace topk {

struct Int8Segment {
  static constexpr int64_t kSegmentBlocks = 16;
  static Int8Segment Take(Carver& carver, const Call& call);

  // Where panel number `block` starts.
  uint8_t* PanelAt(int64_t block) const { return panels + block * panel_bytes; }

  int64_t panel_bytes = 0;    // QuantizedPanelBytes(PadToRowChunks(d))
  uint8_t* panels = nullptr;  // [kSegmentBlocks][panel_bytes]
  float* norms = nullptr;     // [kSegmentBlocks]: the largest 2-norm of a block's keys, at least
  int8_t* numbers = nullptr;  // [kTileRows][PadToRowChunks(d)]: of the rows in the part's order
  Survivors survivors;

  // Of transformed keys.
  float* ones = nullptr;    // [kSegmentBlocks]
  int32_t* sums = nullptr;  // [kTileRows]
  RowBounds bounds{};

  // Of q8_0 keys.
  float* scales = nullptr;       // [kSegmentBlocks][Q8PanelScales(d)]
  int8_t* low = nullptr;         // [kTileRows][d]
  int32_t* high_sums = nullptr;  // [kTileRows][d / kQ8BlockSize]
  int32_t* low_sums = nullptr;   // [kTileRows][d / kQ8BlockSize]
  float* thresholds = nullptr;   // [kTileRows]
};

}  // namespace topk

#endif  // TOPK_SRC_INT8_SEGMENT_H_
