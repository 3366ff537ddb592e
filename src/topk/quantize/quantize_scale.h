// Scales and norms of quantised vectors, shared by the SIMD and reference versions.
#ifndef TOPK_SRC_QUANTIZE_QUANTIZE_SCALE_H_
#define TOPK_SRC_QUANTIZE_QUANTIZE_SCALE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "topk/quantize/quantize.h"

namespace topk {

// An upper bound on a norm from a sum of at most 1024 squares in f32, each of which may have been flushed to zero.
inline float NormOf(float squares) { return 1.0002F * std::sqrt(squares) + 0x1p-57F; }

// The scale of vectors of an extent, see kScalesByNorm; in int8 it takes it to `largest`. Never so small that its
// inverse overflows: rounding to zero then shows in the residuals.
template <class Numbers>
float ScaleOf(float extent, int32_t largest = kLargestInt8) {
  constexpr float kSmallest = 0x1p-100F;
  if constexpr (kScalesByNorm<Numbers>) {
    return std::max(NormOf(extent) / kLargestNorm, kSmallest);
  } else {
    return std::max(extent / static_cast<float>(largest), kSmallest);
  }
}

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZE_QUANTIZE_SCALE_H_
