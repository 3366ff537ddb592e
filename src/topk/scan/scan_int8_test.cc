// The int8 scan against its references: integers, so equal on every SIMD target.
#include "topk/scan/scan_int8.h"

#include <gtest/gtest.h>

#include <cmath>
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

class ScanInt8Test : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }

  // Random bytes; every fourth row and block at the extremes, where sums overflow first.
  void Fill(int64_t n_rows, int64_t n_blocks, int64_t d) {
    numbers_.assign(n_rows * GroupsOf(d) * kGroup, 0);
    sums_.assign(n_rows, 0);
    std::uniform_int_distribution<int> number(-127, 127);
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t i = 0; i < d; ++i) {
        const int x = r % 4 == 3 ? (r % 8 == 3 ? 127 : -127) : number(random_);
        numbers_[r * GroupsOf(d) * kGroup + i] = static_cast<int8_t>(x);
        sums_[r] += x;
      }
    }
    panels_ = std::make_unique<AlignedArray<uint8_t>>(n_blocks * QuantizedPanelBytes(d));
    for (int64_t i = 0; i < panels_->size(); ++i) {
      const int64_t block = i / QuantizedPanelBytes(d);
      (*panels_)[i] = static_cast<uint8_t>(block % 4 == 3 ? (block % 8 == 3 ? 255 : 1) : number(random_) + 128);
    }
  }
  QuantizedRows rows() const { return {numbers_.data(), sums_.data(), static_cast<int64_t>(sums_.size())}; }

  std::mt19937 random_{1};
  std::vector<int8_t> numbers_;
  std::vector<int32_t> sums_;
  std::unique_ptr<AlignedArray<uint8_t>> panels_;
};

TEST_F(ScanInt8Test, FindsTheSurvivorsOfTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {1, 4, 30, 64, 128, 576, 1024}) {
      for (int64_t n_rows : {kInt8Rows, 8 * kInt8Rows, kInt8Stride}) {
        constexpr int64_t kBlocks = 4;
        Fill(n_rows, kBlocks, d);
        std::vector<int32_t> thresholds(kBlocks * kInt8Stride);
        std::normal_distribution<float> around(0.0F, 5000.0F * std::sqrt(static_cast<float>(d)));
        for (int32_t& threshold : thresholds) threshold = static_cast<int32_t>(around(random_));
        thresholds[0] = std::numeric_limits<int32_t>::max();
        thresholds[1] = std::numeric_limits<int32_t>::min();
        std::vector<uint64_t> got(thresholds.size());
        std::vector<uint64_t> want(thresholds.size());
        ScanInt8(rows(), panels_->data(), kBlocks, d, thresholds.data(), got.data());
        ScanInt8Reference(rows(), panels_->data(), kBlocks, d, thresholds.data(), want.data());
        ASSERT_EQ(got, want) << target << " d " << d << " rows " << n_rows;
        EXPECT_EQ(got[0], 0U);
        EXPECT_EQ(got[1], ~uint64_t{0});
      }
    }
  }
}

TEST_F(ScanInt8Test, SamplesAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {3, 64, 100}) {
      Fill(2 * kInt8Rows, 8, d);
      std::vector<const uint8_t*> vectors;
      for (int64_t v = 0; v < 8; ++v) {
        vectors.push_back(panels_->data() + v * QuantizedPanelBytes(d) + v % 4 * kMaxLanes * kGroup);
      }
      const std::vector<float> scales = {1, 2, 0.5, 3, 1e10, 1e-10, 0, 7};
      constexpr int64_t kStride = 8 * kMaxLanes;
      AlignedArray<float> got(2 * kInt8Rows * kStride), want(2 * kInt8Rows * kStride);
      SampleInt8(rows(), vectors.data(), scales.data(), 8, d, got.data(), kStride);
      SampleInt8Reference(rows(), vectors.data(), scales.data(), 8, d, want.data(), kStride);
      for (int64_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], want[i]) << target << " d " << d << " " << i;
    }
  }
}

TEST_F(ScanInt8Test, FindsTheThresholdsOfTheReference) {
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
    std::vector<int32_t> got(3 * kInt8Stride);
    std::vector<int32_t> want(3 * kInt8Stride);
    AlignedArray<int32_t> thresholds(3 * kInt8Stride);
    FindThresholds({least.data(), norm.data(), error.data()}, kRows, blocks, 3, thresholds.data());
    FindThresholdsReference({least.data(), norm.data(), error.data()}, kRows, blocks, 3, want.data());
    for (int64_t b = 0; b < 3; ++b) {
      for (int64_t r = 0; r < kRows; ++r) {
        const int64_t at = b * kInt8Stride + r;
        EXPECT_NEAR(thresholds[at], want[at], 1.0 + 1e-6 * std::abs(want[at])) << target << " " << b << " " << r;
      }
    }
    EXPECT_EQ(thresholds[1], (1 << 30) - 1);
    for (int64_t r : {2, 3, 4, 5}) EXPECT_EQ(thresholds[2 * kInt8Stride + r], -(1 << 30) - 1) << target << " " << r;
  }
}

TEST_F(ScanInt8Test, ScoresListedKeysAsTheReference) {
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
