#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "topk/quantize/quantize.h"
#include "topk/quantize/quantize_scale.h"

namespace topk {

namespace {

// Element (row, column) of a Hadamard matrix: -1 to the number of ones that both indices have.
float Hadamard(int64_t row, int64_t column) {
  return __builtin_popcountll(static_cast<uint64_t>(row & column)) % 2 == 0 ? 1.0F : -1.0F;
}

struct VectorFacts {
  double norm2 = 0;
  double error2 = 0;
  int32_t sum = 0;
};

// Writes the integers of vector j, with an offset, one by one to where place(i) says.
template <class Numbers, typename Place>
VectorFacts QuantizeVector(const float* panel, int64_t d, int64_t j, float scale, int32_t offset, Place&& place) {
  VectorFacts facts;
  for (int64_t i = 0; i < GroupsOf(d, Numbers::kWidth) * Numbers::kPerGroup; ++i) {
    const float y = i < d ? panel[i * kBlockKeys + j] : 0.0F;
    const auto number = static_cast<int32_t>(std::nearbyint(y * (1.0F / scale)));
    const double residual = static_cast<double>(y) - static_cast<double>(scale) * number;
    facts.norm2 += static_cast<double>(y) * y;
    facts.error2 += residual * residual;
    facts.sum += number;
    const int32_t stored = number + offset;  // little-endian: its low bytes come first
    std::memcpy(place(i), &stored, kGroupBytes / Numbers::kPerGroup);
  }
  return facts;
}

template <class Numbers>
float ExtentOf(const float* panel, int64_t d, int64_t j) {
  float largest = 0.0F;
  double squares = 0;
  for (int64_t i = 0; i < d; ++i) {
    const float y = panel[i * kBlockKeys + j];
    largest = std::max(largest, std::abs(y));
    squares += static_cast<double>(y) * y;
  }
  return kScalesByNorm<Numbers> ? static_cast<float>(squares) : largest;
}

// NaN if either is.
float LargerOrNan(float a, float b) { return a > b || std::isnan(a) ? a : b; }

template <class Numbers>
BlockFacts QuantizeKeysAs(const float* panel, int64_t d, uint8_t* out) {
  constexpr int64_t kBytes = kGroupBytes / Numbers::kPerGroup;
  float largest = 0.0F;
  for (int64_t j = 0; j < kBlockKeys; ++j) largest = std::max(largest, ExtentOf<Numbers>(panel, d, j));
  BlockFacts block{ScaleOf<Numbers>(largest), 0.0F, 0.0F};
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    const auto place = [&](int64_t i) {
      return out + (i / Numbers::kPerGroup * kBlockKeys + j) * kGroupBytes + i % Numbers::kPerGroup * kBytes;
    };
    const VectorFacts facts = QuantizeVector<Numbers>(panel, d, j, block.scale, Numbers::kKeyOffset, place);
    block.norm = LargerOrNan(block.norm, NormOf(static_cast<float>(facts.norm2)));
    block.error = LargerOrNan(block.error, NormOf(static_cast<float>(facts.error2)));
  }
  return block;
}

template <class Numbers>
void QuantizeQueriesAs(const float* panel, int64_t d, uint8_t* out, const QueryFacts& facts) {
  constexpr int64_t kBytes = kGroupBytes / Numbers::kPerGroup;
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    facts.scale[j] = ScaleOf<Numbers>(ExtentOf<Numbers>(panel, d, j), LargestQueryInt8());
    const auto place = [&](int64_t i) { return out + j * QuantizedBytes(d, Numbers::kWidth) + i * kBytes; };
    const VectorFacts vector = QuantizeVector<Numbers>(panel, d, j, facts.scale[j], 0, place);
    facts.norm[j] = NormOf(static_cast<float>(vector.norm2));
    facts.error[j] = NormOf(static_cast<float>(vector.error2));
    facts.sum[j] = vector.sum;
  }
}

}  // namespace

void TransformPanelReference(float* panel, int64_t d, const float* shift, const float* factor, float gain) {
  const int64_t h = HadamardSize(d);
  std::vector<double> column(static_cast<size_t>(d));
  for (int64_t j = 0; j < kBlockKeys; ++j) {
    for (int64_t i = 0; i < d; ++i) {
      const double centred = static_cast<double>(panel[i * kBlockKeys + j]) - (shift == nullptr ? 0.0F : shift[i]);
      column[i] = centred * factor[i] * gain;
    }
    for (int64_t i = 0; i < d; ++i) {
      double sum = 0;
      for (int64_t m = 0; m < h; ++m) sum += Hadamard(i % h, m) * column[i / h * h + m];
      panel[i * kBlockKeys + j] = static_cast<float>(sum);
    }
  }
}

BlockFacts QuantizeKeysReference(NumberWidth width, const float* panel, int64_t d, uint8_t* out) {
  return WithNumbers(width, [&](auto numbers) { return QuantizeKeysAs<decltype(numbers)>(panel, d, out); });
}

void QuantizeQueriesReference(NumberWidth width, const float* panel, int64_t d, uint8_t* out, const QueryFacts& facts) {
  WithNumbers(width, [&](auto numbers) { QuantizeQueriesAs<decltype(numbers)>(panel, d, out, facts); });
}

}  // namespace topk
