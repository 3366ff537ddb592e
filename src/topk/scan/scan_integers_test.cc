// The integer scan against its references: equal on every SIMD target.
#include "topk/scan/scan_integers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "topk/attention.h"
#include "topk/scan/score_keys.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;

constexpr NumberWidth kWidths[] = {NumberWidth::kInt8, NumberWidth::kInt16};

// Largest number in a vector of d of them: in int16 those of a vector with the largest norm, if all are the same.
int LargestNumber(NumberWidth width, int64_t d) {
  return width == NumberWidth::kInt8 ? 127 : static_cast<int>(32767.0 / std::sqrt(static_cast<double>(d)));
}

void Store(NumberWidth width, int number, uint8_t* to) {
  std::memcpy(to, &number, width == NumberWidth::kInt8 ? 1 : 2);  // little-endian: its low bytes come first
}

class ScanIntegersTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }

  // Random numbers; every fourth row and block at the extremes, where sums overflow first.
  void Fill(NumberWidth width, int64_t n_rows, int64_t n_blocks, int64_t d) {
    width_ = width;
    const int largest = LargestNumber(width, d);
    const int64_t per_group = width == NumberWidth::kInt8 ? 4 : 2;
    const int64_t bytes = kGroupBytes / per_group;
    const int offset = width == NumberWidth::kInt8 ? 128 : 0;
    std::uniform_int_distribution<int> uniform(-largest, largest);
    const auto number = [&](int64_t at) {
      if (at % 4 == 3) return at % 8 == 3 ? largest : -largest;
      return uniform(random_);
    };
    numbers_.assign(n_rows * QuantizedBytes(d, width), 0);
    sums_.assign(n_rows, 0);
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t i = 0; i < d; ++i) {
        const int x = number(r);
        Store(width, x, numbers_.data() + r * QuantizedBytes(d, width) + i * bytes);
        sums_[r] += x;
      }
    }
    panels_ = std::make_unique<AlignedArray<uint8_t>>(n_blocks * QuantizedPanelBytes(d, width));
    for (int64_t i = 0; i < panels_->size(); i += bytes) {
      Store(width, number(i / QuantizedPanelBytes(d, width)) + offset, panels_->data() + i);
    }
  }
  QuantizedRows rows() const { return {numbers_.data(), sums_.data(), static_cast<int64_t>(sums_.size()), width_}; }

  std::mt19937 random_{1};
  NumberWidth width_ = NumberWidth::kInt8;
  std::vector<uint8_t> numbers_;
  std::vector<int32_t> sums_;
  std::unique_ptr<AlignedArray<uint8_t>> panels_;
};

// Checks a sum by hand, which the reference forms in the same way as the SIMD versions.
TEST_F(ScanIntegersTest, SumsOfTheLargestNumbersFitIntoInt32) {
  for (const NumberWidth width : kWidths) {
    for (int64_t d : {1, 64, 576, 1024}) {
      Fill(width, kIntegerRows, 8, d);
      const int64_t largest = LargestNumber(width, d);
      const int64_t dot = d * largest * largest;  // of row 3 and block 3; the opposite of block 7
      ASSERT_LE(dot, int64_t{1} << 30);
      std::vector<int32_t> thresholds(8 * kIntegerStride);
      std::vector<uint64_t> survivors(kIntegerRows * kSurvivorStride);
      const auto survive = [&](int64_t block, int64_t threshold) {
        thresholds[block * kIntegerStride + 3] = static_cast<int32_t>(threshold);
        ScanIntegers(rows(), panels_->data(), 8, d, thresholds.data(), survivors.data());
        return survivors[3 * kSurvivorStride + block];
      };
      for (const char* target : SimdTargets()) {
        ASSERT_TRUE(UseSimdTarget(target));
        EXPECT_EQ(survive(3, dot - 1), ~uint64_t{0}) << target << " d " << d;
        EXPECT_EQ(survive(3, dot), 0U) << target << " d " << d;
        EXPECT_EQ(survive(7, -dot - 1), ~uint64_t{0}) << target << " d " << d;
        EXPECT_EQ(survive(7, -dot), 0U) << target << " d " << d;
      }
    }
  }
}

TEST_F(ScanIntegersTest, FindsTheSurvivorsOfTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (const NumberWidth width : kWidths) {
      for (int64_t d : {1, 4, 30, 64, 129, 576, 1024}) {
        for (int64_t n_rows : {int64_t{1}, kIntegerRows, 7 * kIntegerRows + 1, kIntegerStride}) {
          constexpr int64_t kBlocks = 4;
          Fill(width, n_rows, kBlocks, d);
          const auto largest = static_cast<float>(LargestNumber(width, d));
          std::vector<int32_t> thresholds(kBlocks * kIntegerStride);
          // Products of two uniform numbers deviate by a third of the largest.
          std::normal_distribution<float> around(0.0F, largest * largest / 3 * std::sqrt(static_cast<float>(d)));
          for (int32_t& threshold : thresholds) threshold = static_cast<int32_t>(around(random_));
          thresholds[0] = std::numeric_limits<int32_t>::min();
          thresholds[kIntegerStride] = std::numeric_limits<int32_t>::max();
          std::vector<uint64_t> got(kIntegerStride * kSurvivorStride);
          std::vector<uint64_t> want(got.size());
          ScanIntegers(rows(), panels_->data(), kBlocks, d, thresholds.data(), got.data());
          ScanIntegersReference(rows(), panels_->data(), kBlocks, d, thresholds.data(), want.data());
          ASSERT_EQ(got, want) << target << " d " << d << " rows " << n_rows;
          EXPECT_EQ(got[0], ~uint64_t{0});
          EXPECT_EQ(got[1], 0U);
        }
      }
    }
  }
}

TEST_F(ScanIntegersTest, SamplesAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (const NumberWidth width : kWidths) {
      for (int64_t d : {3, 64, 100}) {
        Fill(width, 2 * kIntegerRows, 8, d);
        std::vector<const uint8_t*> vectors;
        for (int64_t v = 0; v < 8; ++v) {
          vectors.push_back(panels_->data() + v * QuantizedPanelBytes(d, width) + v % 4 * kMaxLanes * kGroupBytes);
        }
        const std::vector<float> scales = {1, 2, 0.5, 3, 1e10, 1e-10, 0, 7};
        constexpr int64_t kStride = 8 * kMaxLanes;
        AlignedArray<float> got(2 * kIntegerRows * kStride), want(2 * kIntegerRows * kStride);
        SampleIntegers(rows(), vectors.data(), scales.data(), 8, d, got.data(), kStride);
        SampleIntegersReference(rows(), vectors.data(), scales.data(), 8, d, want.data(), kStride);
        for (int64_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], want[i]) << target << " d " << d << " " << i;
      }
    }
  }
}

TEST_F(ScanIntegersTest, FindsTheThresholdsOfTheReference) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr int64_t kRows = 32;
  AlignedArray<float> least(kRows), norm(kRows), error(kRows);
  std::normal_distribution<float> gaussian;
  for (int64_t r = 0; r < kRows; ++r) {
    least[r] = 1000.0F * gaussian(random_);
    norm[r] = std::abs(gaussian(random_));
    error[r] = std::abs(gaussian(random_));
  }
  least[1] = kInf;   // nothing passes
  least[2] = -kInf;  // all pass, as below
  norm[3] = std::numeric_limits<float>::quiet_NaN();
  least[4] = kInf;
  error[4] = kInf;
  least[5] = std::numeric_limits<float>::lowest();
  const std::vector<float> inverse_scale = {1.0F, 3.0F, 1e30F};
  const std::vector<float> scaled_norm = {100.0F, 1.0F, 0.0F};
  const std::vector<float> scaled_error = {10.0F, 0.5F, 1.0F};
  const BlockBounds blocks{inverse_scale.data(), scaled_norm.data(), scaled_error.data()};
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    std::vector<int32_t> got(3 * kIntegerStride);
    std::vector<int32_t> want(3 * kIntegerStride);
    AlignedArray<int32_t> thresholds(3 * kIntegerStride);
    FindThresholds({least.data(), norm.data(), error.data()}, kRows, blocks, 3, thresholds.data());
    FindThresholdsReference({least.data(), norm.data(), error.data()}, kRows, blocks, 3, want.data());
    for (int64_t b = 0; b < 3; ++b) {
      for (int64_t r = 0; r < kRows; ++r) {
        const int64_t at = b * kIntegerStride + r;
        EXPECT_NEAR(thresholds[at], want[at], 1.0 + 1e-6 * std::abs(want[at])) << target << " " << b << " " << r;
      }
    }
    EXPECT_EQ(thresholds[1], (1 << 30) - 1);
    for (int64_t r : {2, 3, 4, 5}) EXPECT_EQ(thresholds[2 * kIntegerStride + r], -(1 << 30) - 1) << target << " " << r;
  }
}

TEST_F(ScanIntegersTest, ScoresListedKeysAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
      for (int64_t d : {1, 17, 64, 96, 160}) {
        if (type == DataType::kQ8_0 && d % kQ8BlockSize != 0) continue;
        testing::RandomTensor keys(type, 1, 100, 1, d, 0);
        keys.FillGaussian(random_);
        AlignedArray<float> q(PadToLanes(d));
        std::normal_distribution<float> gaussian;
        for (int64_t i = 0; i < d; ++i) q[i] = gaussian(random_);
        for (size_t count : {0U, 1U, 4U, 5U, 37U}) {
          std::vector<KeyIndex> list(count);
          for (size_t j = 0; j < count; ++j) list[j] = static_cast<KeyIndex>(j * 41 % 100);
          std::vector<float> got(count + 3);
          std::vector<float> want(count);
          ScoreKeys(q.data(), keys.view(), d, list, got.data());
          ScoreKeysReference(q.data(), keys.view(), d, list, want.data());
          // d + 1 roundings of sums of at most about 5 d
          const float tolerance = 0x1p-23F * static_cast<float>(d + 1) * 5.0F * static_cast<float>(d + 1);
          for (size_t j = 0; j < count; ++j) {
            EXPECT_NEAR(got[j], want[j], tolerance)
                << target << " type " << static_cast<int>(type) << " d " << d << " " << j;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace topk
