// The products of few rows against their references, for every type, size and SIMD target.
#include "topk/direct/direct.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0};
constexpr int64_t kFirst = 5;  // key
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class DirectTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }

  AlignedArray<float> Gaussian(int64_t n_rows, int64_t count, int64_t stride) {
    std::normal_distribution<float> gaussian;
    AlignedArray<float> out(n_rows * stride);
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t i = 0; i < count; ++i) out[r * stride + i] = gaussian(random_);
    }
    return out;
  }

  // Calls check(tensor, n_rows, d, count) for all types and the edges of tiles, on every target.
  template <typename Check>
  void ForAll(Check&& check) {
    for (const char* target : SimdTargets()) {
      ASSERT_TRUE(UseSimdTarget(target));
      for (DataType type : kTypes) {
        for (int64_t d : {1, 15, 16, 17, 64, 96, 128, 200}) {
          if (type == DataType::kQ8_0 && d % kQ8BlockSize != 0) continue;
          RandomTensor tensor(type, 1, kFirst + kBlockKeys, 2, d, 1);
          tensor.FillGaussian(random_);
          for (int64_t n_rows = 1; n_rows <= kMostDirectRows; ++n_rows) {
            for (int64_t count : {0, 1, 3, 4, 5, 63, 64}) {
              SCOPED_TRACE(std::string(target) + " type " + std::to_string(static_cast<int>(type)) + " rows " +
                           std::to_string(n_rows) + " d " + std::to_string(d) + " count " + std::to_string(count));
              check(tensor, n_rows, d, count);
            }
          }
        }
      }
    }
  }

  std::mt19937 random_{1};
};

// A sum of n products of Gaussian numbers, in any order: n + 1 roundings of about 3 sqrt(n) at most.
float Tolerance(int64_t n) { return 0x1p-23F * static_cast<float>(n + 1) * static_cast<float>(n + 8); }

TEST_F(DirectTest, ScoresBlocksAndTracksMagnitudesAsTheReference) {
  ForAll([this](const RandomTensor& keys, int64_t n_rows, int64_t d, int64_t count) {
    const int64_t stride = kBlockKeys + kMaxLanes;
    const AlignedArray<float> queries = Gaussian(n_rows, d, PadToLanes(d));
    AlignedArray<float> scores = Gaussian(n_rows, stride, stride);  // to be overwritten
    AlignedArray<float> expected = scores;
    AlignedArray<int32_t> magnitude(PadToLanes(d)), expected_magnitude(PadToLanes(d));
    const auto score = [&] {
      return ScoreDirectly(queries.data(), n_rows, keys.view(), kFirst, count, d, scores.data(), stride,
                           magnitude.data());
    };
    EXPECT_EQ(score(), ScoreDirectlyReference(queries.data(), n_rows, keys.view(), kFirst, count, d, expected.data(),
                                              stride, expected_magnitude.data()));
    for (int64_t j = 0; j < scores.size(); ++j) ASSERT_NEAR(scores[j], expected[j], Tolerance(d)) << j;
    for (int64_t i = 0; i < PadToLanes(d); ++i) ASSERT_EQ(magnitude[i], expected_magnitude[i]) << i;
    EXPECT_FALSE(score()) << "nothing new";
  });
}

TEST_F(DirectTest, AddsWeightedValuesAsTheReference) {
  ForAll([this](const RandomTensor& values, int64_t n_rows, int64_t d, int64_t count) {
    AlignedArray<float> weights = Gaussian(n_rows, kBlockKeys, kBlockKeys);
    for (int64_t r = 0; r < n_rows && count < kBlockKeys; ++r) weights[r * kBlockKeys + count] = kNan;  // not read
    AlignedArray<float> sums = Gaussian(n_rows, d, PadToLanes(d));
    AlignedArray<float> expected = sums;
    EXPECT_TRUE(AddDirectly(weights.data(), n_rows, values.view(), kFirst, count, d, sums.data()));
    AddDirectlyReference(weights.data(), n_rows, values.view(), kFirst, count, d, expected.data());
    for (int64_t i = 0; i < sums.size(); ++i) ASSERT_NEAR(sums[i], expected[i], Tolerance(count)) << i;
  });
}

TEST_F(DirectTest, NoticesNumbersThatAreNotFinite) {
  constexpr int64_t kSize = 21;
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), kNan}) {
      for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
        for (int64_t at : {0, 20}) {
          RandomTensor rows(type, 1, kBlockKeys, 1, kSize, 0);
          rows.FillGaussian(random_);
          rows.Set(0, 41, 0, at, bad);
          const AlignedArray<float> queries = Gaussian(2, kSize, PadToLanes(kSize));
          AlignedArray<float> scores(2 * kBlockKeys), sums(2 * PadToLanes(kSize));
          AlignedArray<int32_t> magnitude(PadToLanes(kSize));
          ScoreDirectly(queries.data(), 2, rows.view(), 0, kBlockKeys, kSize, scores.data(), kBlockKeys,
                        magnitude.data());
          EXPECT_GE(magnitude[at], 0x7F800000) << target << " " << bad;
          const AlignedArray<float> no_weights(2 * kBlockKeys);
          EXPECT_FALSE(AddDirectly(no_weights.data(), 2, rows.view(), 0, kBlockKeys, kSize, sums.data()))
              << target << " " << bad;
        }
      }
    }
  }
}

}  // namespace
}  // namespace topk
