#include "topk/int8_segment.h"

namespace topk {

Int8Segment Int8Segment::Take(Carver& carver, const Call& call) {
  const int64_t d = call.input.d_k;
  const int64_t padded = PadToRowChunks(d);
  Int8Segment segment;
  segment.panel_bytes = QuantizedPanelBytes(padded);
  segment.panels = carver.Take<uint8_t>(kSegmentBlocks * segment.panel_bytes);
  segment.norms = carver.Take<float>(kSegmentBlocks);
  segment.numbers = carver.Take<int8_t>(kTileRows * padded);
  segment.survivors = Survivors::Take(carver, kSegmentBlocks);
  if (call.input.k.type == DataType::kQ8_0) {
    segment.scales = carver.Take<float>(kSegmentBlocks * Q8PanelScales(d));
    segment.low = carver.Take<int8_t>(kTileRows * d);
    segment.high_sums = carver.Take<int32_t>(kTileRows * d / kQ8BlockSize);
    segment.low_sums = carver.Take<int32_t>(kTileRows * d / kQ8BlockSize);
    segment.thresholds = carver.Take<float>(kTileRows);
  } else {
    segment.ones = carver.Take<float>(kSegmentBlocks);
    segment.sums = carver.Take<int32_t>(kTileRows);
    segment.bounds = {carver.Take<float>(kTileRows), carver.Take<float>(kTileRows), carver.Take<float>(kTileRows)};
  }
  return segment;
}

}  // namespace topk
