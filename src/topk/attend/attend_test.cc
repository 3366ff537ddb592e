// Softmax and weighted sums against their references on every SIMD target.
#include "topk/attend/attend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

constexpr float kHidden = -std::numeric_limits<float>::infinity();
constexpr float kTolerance = 1e-5F;  // sums of up to 300 f32 weights, each within a few units of 2^-24

class AttendTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }

  AlignedArray<float> Gaussian(int64_t count, int64_t room) {
    std::normal_distribution<float> gaussian(0.0F, 3.0F);
    AlignedArray<float> out(room);
    for (int64_t i = 0; i < count; ++i) out[i] = gaussian(random_);
    return out;
  }
  std::mt19937 random_{1};
};

TEST_F(AttendTest, SoftmaxEqualsReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t count : {1, 15, 16, 17, 300}) {
      for (float sink : {kHidden, -2.0F, 50.0F}) {
        AlignedArray<float> scores = Gaussian(count, count + kMaxLanes);
        AlignedArray<float> expected = scores;
        const ExpSum total = Softmax(scores.data(), count, sink);
        const ExpSum expected_total = SoftmaxReference(expected.data(), count, sink);
        for (int64_t j = 0; j < count; ++j) ASSERT_NEAR(scores[j], expected[j], kTolerance) << target << " " << count;
        if (expected_total.sum > 0) {
          EXPECT_NEAR(total.Log(), expected_total.Log(), kTolerance) << target;
        }
      }
    }
  }
}

TEST_F(AttendTest, ExpSumsOfBlocksMergeToTheWhole) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    AlignedArray<float> scores = Gaussian(2 * kBlockKeys, 2 * kBlockKeys);
    scores[3] = kHidden;
    ExpSum total, expected, hidden;
    AddToExpSum(scores.data(), total);
    AddToExpSum(scores.data() + kBlockKeys, total);
    AddToExpSumReference(scores.data(), expected);
    AddToExpSumReference(scores.data() + kBlockKeys, expected);
    EXPECT_NEAR(total.Log(), expected.Log(), kTolerance) << target;
    AlignedArray<float> nothing(kBlockKeys);
    std::fill_n(nothing.data(), kBlockKeys, kHidden);
    AddToExpSum(nothing.data(), hidden);
    EXPECT_EQ(hidden.sum, 0.0F);
  }
}

TEST_F(AttendTest, WeightedSumEqualsReferenceForAllTypesAndSizes) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
      for (int64_t d : {1, 16, 31, 64, 96, 128, 200, 512}) {
        if (type == DataType::kQ8_0 && d % kQ8BlockSize != 0) continue;
        RandomTensor values(type, 1, 100, 1, d, 1);
        values.FillGaussian(random_);
        for (size_t count : {0, 1, 9, 30}) {
          std::vector<KeyIndex> keys;
          for (size_t j = 0; j < count; ++j) keys.push_back(static_cast<KeyIndex>(3 * j + 1));
          AlignedArray<float> weights(32);
          for (size_t j = 0; j < count; ++j) weights[static_cast<int64_t>(j)] = 1.0F / static_cast<float>(j + 1);
          std::vector<float> out(d), expected(d);
          WeightedSum(keys, weights.data(), values.view(), d, out.data());
          WeightedSumReference(keys, weights.data(), values.view(), d, expected.data());
          for (int64_t i = 0; i < d; ++i) ASSERT_NEAR(out[i], expected[i], kTolerance * 10) << target << " d " << d;
        }
      }
    }
  }
}

TEST_F(AttendTest, OnlineSoftmaxStepsEqualReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    ExpSum total, expected_total;
    AlignedArray<float> sum(32), expected_sum(32);
    for (int step = 0; step < 4; ++step) {
      AlignedArray<float> scores = Gaussian(kBlockKeys, kBlockKeys);
      if (step == 1) std::fill_n(scores.data(), kBlockKeys, kHidden);
      for (int64_t i = 0; i < 32; ++i) sum[i] = expected_sum[i] += static_cast<float>(i);
      AlignedArray<float> expected = scores;
      OnlineSoftmaxStep(scores.data(), total, sum.data(), 32);
      OnlineSoftmaxStepReference(expected.data(), expected_total, expected_sum.data(), 32);
      for (int64_t j = 0; j < kBlockKeys; ++j) ASSERT_NEAR(scores[j], expected[j], kTolerance) << target;
      for (int64_t i = 0; i < 32; ++i) ASSERT_NEAR(sum[i], expected_sum[i], 1e-3F) << target;
      EXPECT_NEAR(total.Log(), expected_total.Log(), kTolerance);
    }
  }
}

}  // namespace
}  // namespace topk
