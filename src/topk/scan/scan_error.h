// The last step of ScanError, shared by its SIMD and reference versions.
#ifndef TOPK_SRC_SCAN_SCAN_ERROR_H_
#define TOPK_SRC_SCAN_SCAN_ERROR_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "topk/scan/scan.h"

namespace topk {

// products = sum |q'_i| magnitude_i, magnitudes = sum magnitude_i, each within 1 %.
inline float ScanErrorOfSums(double products, double magnitudes, int64_t d, float softcap) {
  constexpr double kUnit = 0x1p-24;
  constexpr double kMargin = 1.05;  // second-order terms (d u < 7e-5) and the sums' own rounding
  // Beyond this a score, or a score plus a mask of f32's smallest number, could overflow.
  constexpr double kLargestScore = 1e30;
  if (!(products < kLargestScore)) return std::numeric_limits<float>::infinity();
  const auto n = static_cast<double>(d);
  const double split_units = 4 * std::ceil(n / 32) + 36;  // see scan_split.h and bf16x3.h
  const double units = std::max(n + 8, split_units);
  const double dot = kMargin * units * kUnit * products;
  const double flushed = 0x1p-121 * (n + magnitudes);
  return static_cast<float>(kMargin * (dot + flushed + static_cast<double>(kSoftcapUlps) * kUnit * softcap));
}

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCAN_ERROR_H_
