// Scores by products of bf16 against those of f32, where there is AMX.
#include "topk/bf16x3/bf16x3.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "topk/amx.h"
#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

constexpr int64_t kFirst = 5;  // key
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNoReach[kMostBf16Rows] = {};

class Bf16x3Test : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SuitsBf16x3(DataType::kF16, kBf16Chunk)) GTEST_SKIP() << "no AMX here";
  }

  // deviation: of the exponents (base 2), so that parts of all sizes meet.
  AlignedArray<float> Numbers(int64_t n_rows, int64_t count, float deviation) {
    std::normal_distribution<float> gaussian;
    AlignedArray<float> out(n_rows * PadToLanes(count));
    for (int64_t i = 0; i < out.size(); ++i) out[i] = gaussian(random_) * std::exp2(deviation * gaussian(random_));
    return out;
  }

  // Calls check(keys, n_rows, d, count) for all types and the edges of tiles.
  template <typename Check>
  void ForAll(Check&& check) {
    for (DataType type : {DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
      for (int64_t d : {32, 64, 96, 128, 576, 1024}) {
        RandomTensor keys(type, 1, kFirst + kBlockKeys, 2, d, 1);
        keys.FillGaussian(random_);
        for (int64_t n_rows = 1; n_rows <= kMostBf16Rows; ++n_rows) {
          for (int64_t count : {1, 15, 16, 17, 63, 64}) {
            SCOPED_TRACE("type " + std::to_string(static_cast<int>(type)) + " rows " + std::to_string(n_rows) + " d " +
                         std::to_string(d) + " count " + std::to_string(count));
            check(keys, n_rows, d, count);
          }
        }
      }
    }
  }

  std::mt19937 random_{1};
};

TEST_F(Bf16x3Test, ScoresBlocksAndTracksMagnitudesAsTheReference) {
  const AmxRegisters registers;
  ForAll([this](const RandomTensor& keys, int64_t n_rows, int64_t d, int64_t count) {
    constexpr int64_t kStride = kBlockKeys + kMaxLanes;
    const AlignedArray<float> queries = Numbers(n_rows, d, 2);
    AlignedArray<float> scores = Numbers(n_rows, kStride, 0);  // to be overwritten
    AlignedArray<float> expected = scores;
    AlignedArray<int32_t> magnitude(PadToLanes(d)), expected_magnitude(PadToLanes(d));
    AlignedArray<uint8_t> tiles(Bf16QueryBytes(d));
    const AlignedArray<float> reach = Numbers(1, kMaxLanes, 8);
    ASSERT_TRUE(SplitQueries(keys.view().type, queries.data(), n_rows, d, tiles.data()));
    const auto score = [&] {
      return ScoreBf16x3(tiles.data(), n_rows, {keys.view(), kFirst, count}, d, reach.data(), scores.data(), kStride,
                         magnitude.data());
    };
    const Bf16x3Result result = score();
    EXPECT_EQ(result.magnitude, MagnitudeChange::kGrew);
    ScoreBf16x3Reference(queries.data(), n_rows, {keys.view(), kFirst, count}, d, reach.data(), expected.data(),
                         kStride, expected_magnitude.data());
    for (int64_t i = 0; i < d; ++i) {
      ASSERT_GE(magnitude[i], expected_magnitude[i]) << i;
      if (keys.view().type == DataType::kBF16) {
        ASSERT_LE(magnitude[i], expected_magnitude[i] + (1 << 22)) << i;
      }
    }
    for (int64_t r = 0; r < n_rows; ++r) {
      double products = 0;
      for (int64_t i = 0; i < d; ++i) {
        products += std::fabs(queries[r * PadToLanes(d) + i]) * std::bit_cast<float>(magnitude[i]);
      }
      // As many roundings as the reference, each of half a unit, and the same again of the bf16 parts.
      const double tolerance = 0x1p-24 * 2 * std::sqrt(static_cast<double>(d)) * products;
      for (int64_t j = 0; j < kStride; ++j) ASSERT_NEAR(scores[r * kStride + j], expected[r * kStride + j], tolerance);
    }
    EXPECT_EQ(score().magnitude, MagnitudeChange::kNone) << "nothing new";
    for (int64_t r = 0; r < n_rows && count == kBlockKeys; ++r) {
      const float best = *std::max_element(&scores[r * kStride], &scores[r * kStride] + kBlockKeys);
      EXPECT_EQ(result.competing >> r & 1U, best >= reach[r] ? 1U : 0U);
    }
  });
}

TEST_F(Bf16x3Test, SaysThatAQueryIsTooLarge) {
  constexpr int64_t kSize = 64;
  AlignedArray<uint8_t> tiles(Bf16QueryBytes(kSize));
  for (const float bad : {kLargestBf16Query, -kLargestBf16Query, kInfinity, std::nanf("")}) {
    AlignedArray<float> queries(2 * kSize);
    EXPECT_TRUE(SplitQueries(DataType::kF16, queries.data(), 2, kSize, tiles.data()));
    queries[kSize + 63] = bad;
    EXPECT_FALSE(SplitQueries(DataType::kF16, queries.data(), 2, kSize, tiles.data())) << bad;
  }
}

TEST_F(Bf16x3Test, SaysThatAKeyDoesNotFit) {
  const AmxRegisters registers;
  constexpr int64_t kSize = 64;
  AlignedArray<uint8_t> tiles(Bf16QueryBytes(kSize));
  const AlignedArray<float> queries = Numbers(2, kSize, 0);
  for (const DataType type : {DataType::kF16, DataType::kBF16}) {
    ASSERT_TRUE(SplitQueries(type, queries.data(), 2, kSize, tiles.data()));
    const float too_large = type == DataType::kF16 ? kLargestBf16Key + 2 : kInfinity;
    for (const float bad : {too_large, -too_large, kInfinity, std::nanf("")}) {
      for (const int64_t at : {0, 20, 63}) {
        RandomTensor keys(type, 1, kBlockKeys, 1, kSize, 0);
        keys.FillGaussian(random_);
        AlignedArray<float> scores(2 * kBlockKeys);
        AlignedArray<int32_t> magnitude(kSize);
        const auto score = [&] {
          return ScoreBf16x3(tiles.data(), 2, {keys.view(), 0, kBlockKeys}, kSize, kNoReach, scores.data(), kBlockKeys,
                             magnitude.data())
              .magnitude;
        };
        keys.Set(0, 41, 0, at, kLargestBf16Key);
        EXPECT_EQ(score(), MagnitudeChange::kGrew);
        keys.Set(0, 41, 0, at, bad);
        EXPECT_EQ(score(), MagnitudeChange::kTooLarge) << bad;
      }
    }
  }
}

// What is lost of numbers near 0 stays within the bound that the magnitudes give.
TEST_F(Bf16x3Test, BoundsTheErrorOfSmallKeys) {
  const AmxRegisters registers;
  constexpr int64_t kSize = 64;
  AlignedArray<uint8_t> tiles(Bf16QueryBytes(kSize));
  const AlignedArray<float> queries = Numbers(kMostBf16Rows, kSize, 1);
  for (const DataType type : {DataType::kF16, DataType::kBF16}) {
    ASSERT_TRUE(SplitQueries(type, queries.data(), kMostBf16Rows, kSize, tiles.data()));
    for (const float deviation : {1e-7F, 1e-6F, 1e-4F, 1e-2F}) {
      RandomTensor keys(type, 1, kBlockKeys, 1, kSize, 0);
      keys.FillGaussian(random_, deviation);
      AlignedArray<float> scores(kMostBf16Rows * kBlockKeys), expected(kMostBf16Rows * kBlockKeys);
      AlignedArray<int32_t> magnitude(kSize), exact_magnitude(kSize);
      ScoreBf16x3(tiles.data(), kMostBf16Rows, {keys.view(), 0, kBlockKeys}, kSize, kNoReach, scores.data(), kBlockKeys,
                  magnitude.data());
      ScoreBf16x3Reference(queries.data(), kMostBf16Rows, {keys.view(), 0, kBlockKeys}, kSize, kNoReach,
                           expected.data(), kBlockKeys, exact_magnitude.data());
      for (int64_t at = 0; at < scores.size(); ++at) {
        const float* query = queries.data() + at / kBlockKeys * kSize;
        ASSERT_NEAR(scores[at], expected[at], ScanError(query, magnitude.data(), kSize, 0.0F)) << deviation;
      }
    }
  }
}

TEST_F(Bf16x3Test, LeavesOutWhatDoesNotSuit) {
  EXPECT_FALSE(SuitsBf16x3(DataType::kF32, 64));
  EXPECT_FALSE(SuitsBf16x3(DataType::kF16, 80));
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    EXPECT_EQ(SuitsBf16x3(DataType::kF16, 64), std::string(target) == "AMX");
  }
  UseSimdTarget(nullptr);
}

}  // namespace
}  // namespace topk
