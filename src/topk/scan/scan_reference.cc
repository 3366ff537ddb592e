#include <bit>
#include <cmath>
#include <limits>

#include "topk/load/pack.h"
#include "topk/numeric.h"
#include "topk/scan/scan.h"
#include "topk/scan/scan_error.h"

namespace topk {

void MultiplyTileReference(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c,
                           int64_t c_stride, int64_t n_rows, int64_t n_columns, int64_t depth, bool accumulate) {
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t column = 0; column < n_columns; ++column) {
      float sum = accumulate ? c[r * c_stride + column] : 0.0F;
      for (int64_t i = 0; i < depth; ++i) sum += a[r * a_stride + i] * b[i * b_stride + column];
      c[r * c_stride + column] = sum;
    }
  }
}

void SoftcapReference(float cap, float* scores) {
  for (int64_t j = 0; j < kBlockKeys; ++j) scores[j] = cap * std::tanh(scores[j] / cap);
}

void AddMaskReference(DataType type, const uint8_t* mask, float slope, int64_t count, float* scores) {
  for (int64_t j = 0; j < count; ++j) scores[j] += slope * ReadNumber(type, mask, j);
}

float ScanErrorReference(const float* q, const int32_t* magnitude, int64_t d, float softcap, ScanProducts kind) {
  double products = 0;
  double magnitudes = 0;
  for (int64_t i = 0; i < d; ++i) {
    const double m = std::bit_cast<float>(magnitude[i]);
    products += std::abs(static_cast<double>(q[i])) * m;
    magnitudes += m;
  }
  return ScanErrorOfSums(products, magnitudes, d, softcap, kind);
}

}  // namespace topk
