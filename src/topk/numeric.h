// Scalar numbers of every DataType, ALiBi slopes and the exact score: the arithmetic that all paths agree on.
#ifndef TOPK_SRC_NUMERIC_H_
#define TOPK_SRC_NUMERIC_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "topk/attention.h"
#include "topk/tensor.h"

namespace topk {

template <typename T>
T ReadAs(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// IEEE binary16 to binary32, exact; NaN stays NaN.
inline float F16ToF32(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1FU;
  const uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

inline float BF16ToF32(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Number i of a row, exactly (an int8 times an f16 scale fits an f32).
inline float ReadNumber(DataType type, const uint8_t* row, int64_t i) {
  switch (type) {
    case DataType::kF32: return ReadAs<float>(row + 4 * i);
    case DataType::kF16: return F16ToF32(ReadAs<uint16_t>(row + 2 * i));
    case DataType::kBF16: return BF16ToF32(ReadAs<uint16_t>(row + 2 * i));
    case DataType::kQ8_0: {
      const uint8_t* block = row + i / kQ8BlockSize * kQ8BlockBytes;
      return F16ToF32(ReadAs<uint16_t>(block)) * static_cast<float>(ReadAs<int8_t>(block + 2 + i % kQ8BlockSize));
    }
  }
  return 0.0F;
}

// The f32 next below or above the one that x rounds to: bounds of x.
inline float RoundDown(double x) {
  return std::nextafter(static_cast<float>(x), -std::numeric_limits<float>::infinity());
}
inline float RoundUp(double x) { return std::nextafter(static_cast<float>(x), std::numeric_limits<float>::infinity()); }

// ALiBi slope of a query head, as ggml defines it (f32); 1 without ALiBi.
inline float AlibiSlope(float max_bias, int64_t head, int64_t n_head) {
  if (!(max_bias > 0.0F)) return 1.0F;
  const auto n_head_log2 = static_cast<float>(int64_t{1} << static_cast<int>(std::floor(std::log2(n_head))));
  const float m0 = std::pow(2.0F, -max_bias / n_head_log2);
  const float m1 = std::pow(2.0F, -(max_bias / 2.0F) / n_head_log2);
  const auto h = static_cast<float>(head);
  return h < n_head_log2 ? std::pow(m0, h + 1) : std::pow(m1, 2 * (h - n_head_log2) + 1);
}

// The weight of a score under Activation::kRelu. NaN stays NaN.
template <typename T>
T Relu(T score) {
  return score < T(0) ? T(0) : score;
}

// What turns q.k into a score, in f64.
struct ScoreRule {
  double scale = 1.0;  // scale / temperature
  double softcap = 0.0;

  static ScoreRule Of(const AttentionInput& input, const TopKOptions& options) {
    return {static_cast<double>(input.scale) / static_cast<double>(options.temperature),
            static_cast<double>(input.softcap)};
  }
  double Apply(double dot, double bias) const {
    const double s = scale * dot;
    return (softcap != 0.0 ? softcap * std::tanh(s / softcap) : s) + bias;
  }
};

}  // namespace topk

#endif  // TOPK_SRC_NUMERIC_H_
