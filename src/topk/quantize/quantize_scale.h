// Scales and norms of int8 vectors, shared by the SIMD and reference versions.
#ifndef TOPK_SRC_QUANTIZE_QUANTIZE_SCALE_H_
#define TOPK_SRC_QUANTIZE_QUANTIZE_SCALE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "topk/quantize/quantize.h"

namespace topk {

inline constexpr int32_t kByteOffset = 128;  // keys are stored as unsigned bytes

// The scale that takes `largest` to 127. Never so small that its inverse overflows: rounding to zero then shows in the
// residuals.
inline float ScaleOf(float largest) { return std::max(largest / 127.0F, 0x1p-100F); }

// An upper bound on a norm from a sum of at most 1024 squares in f32, each of which may have been flushed to zero.
inline float NormOf(float squares) { return 1.0002F * std::sqrt(squares) + 0x1p-57F; }

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZE_QUANTIZE_SCALE_H_
