// Panels in int8 and int16 against their references, and the bound on what they change in a score.
#include "topk/quantize/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/aligned_array.h"

namespace topk {
namespace {

using testing::AlignedArray;

constexpr NumberWidth kWidths[] = {NumberWidth::kInt8, NumberWidth::kInt16};
constexpr int64_t kHeadSizes[] = {1, 3, 16, 20, 64, 80, 128, 576, 1024};

// Number i of a query, or with its offset of a key, whose groups are `stride` bytes apart.
int32_t NumberAt(NumberWidth width, const uint8_t* vector, int64_t stride, int64_t i) {
  if (width == NumberWidth::kInt8) return static_cast<int8_t>(vector[i / 4 * stride + i % 4]);
  int16_t number = 0;
  std::memcpy(&number, vector + i / 2 * stride + i % 2 * 2, sizeof number);
  return number;
}
int32_t QueryNumber(NumberWidth width, const AlignedArray<uint8_t>& queries, int64_t d, int64_t r, int64_t i) {
  return NumberAt(width, queries.data() + r * QuantizedBytes(d, width), kGroupBytes, i);
}
int32_t KeyNumber(NumberWidth width, const AlignedArray<uint8_t>& keys, int64_t j, int64_t i) {
  const int32_t number = NumberAt(width, keys.data() + j * kGroupBytes, kBlockKeys * kGroupBytes, i);
  if (width == NumberWidth::kInt16) return number;
  return number + (number < 0 ? 128 : -128);  // stored as an unsigned byte, 128 more
}

class QuantizeTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }

  std::mt19937 random_{1};
};

// A panel with a bias, and with outliers in its first dimension.
AlignedArray<float> OutlierPanel(std::mt19937& random, int64_t d, float bias, float outlier) {
  std::normal_distribution<float> gaussian;
  AlignedArray<float> panel(d * kBlockKeys);
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < kBlockKeys; ++j) {
      panel[i * kBlockKeys + j] = bias + gaussian(random) * (i == 0 ? outlier : 1.0F);
    }
  }
  return panel;
}

struct Facts {
  std::vector<float> scale = std::vector<float>(kBlockKeys);
  std::vector<float> norm = std::vector<float>(kBlockKeys);
  std::vector<float> error = std::vector<float>(kBlockKeys);
  std::vector<int32_t> sum = std::vector<int32_t>(kBlockKeys);
  QueryFacts view() { return {scale.data(), norm.data(), error.data(), sum.data()}; }
};

TEST_F(QuantizeTest, TransformsAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : kHeadSizes) {
      AlignedArray<float> panel = OutlierPanel(random_, d, 3.0F, 10.0F);
      AlignedArray<float> expected = panel;
      const std::vector<float> shift(d, 2.5F);
      const std::vector<float> factor(d, 0.25F);
      TransformPanel(panel.data(), d, shift.data(), factor.data(), 2.0F);
      TransformPanelReference(expected.data(), d, shift.data(), factor.data(), 2.0F);
      for (int64_t j = 0; j < kBlockKeys; ++j) {
        double norm2 = 0;
        double error2 = 0;
        for (int64_t i = 0; i < d; ++i) {
          const double want = expected[i * kBlockKeys + j];
          norm2 += want * want;
          error2 += (want - panel[i * kBlockKeys + j]) * (want - panel[i * kBlockKeys + j]);
        }
        // Eleven roundings, and the reference's own to f32.
        EXPECT_LE(std::sqrt(error2), 12 * 0x1p-24 * std::sqrt(norm2)) << target << " d " << d << " key " << j;
      }
    }
  }
}

// The scale of int16 comes from a sum of squares, which the reference forms in f64: numbers of this size may differ.
int32_t AllowedDifference(NumberWidth width, int32_t number) {
  return width == NumberWidth::kInt8 ? 0 : 1 + std::abs(number) / 10000;
}
float AllowedScaleError(NumberWidth width, float scale) { return width == NumberWidth::kInt8 ? 0 : 1e-4F * scale; }

TEST_F(QuantizeTest, RoundsAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (const NumberWidth width : kWidths) {
      for (int64_t d : kHeadSizes) {
        for (float size : {1.0F, 0.0F, 1e-35F, 1e15F}) {
          AlignedArray<float> panel = OutlierPanel(random_, d, 0.0F, 30.0F);
          for (int64_t i = 0; i < panel.size(); ++i) panel[i] *= size;
          const std::string where = std::string(target) + (width == NumberWidth::kInt8 ? " int8" : " int16") + " d " +
                                    std::to_string(d) + " size " + std::to_string(size);

          const int64_t bytes = QuantizedPanelBytes(d, width);
          AlignedArray<uint8_t> keys(bytes), expected_keys(bytes), queries(bytes), expected_queries(bytes);
          const BlockFacts facts = QuantizeKeys(width, panel.data(), d, keys.data());
          const BlockFacts expected = QuantizeKeysReference(width, panel.data(), d, expected_keys.data());
          EXPECT_NEAR(facts.scale, expected.scale, AllowedScaleError(width, expected.scale)) << where;
          EXPECT_NEAR(facts.norm, expected.norm, 1e-4F * expected.norm) << where;
          // Residuals are differences of numbers that are up to 127 times as large; in int16 another scale has others.
          const float wobble = width == NumberWidth::kInt8 ? 1e-4F : 0.5F;
          EXPECT_NEAR(facts.error, expected.error, wobble * expected.error + 1e-6F * expected.norm) << where;

          Facts got;
          Facts want;
          QuantizeQueries(width, panel.data(), d, queries.data(), got.view());
          QuantizeQueriesReference(width, panel.data(), d, expected_queries.data(), want.view());
          for (int64_t j = 0; j < kBlockKeys; ++j) {
            EXPECT_NEAR(got.scale[j], want.scale[j], AllowedScaleError(width, want.scale[j])) << where;
            EXPECT_NEAR(got.norm[j], want.norm[j], 1e-4F * want.norm[j]) << where;
            EXPECT_NEAR(got.error[j], want.error[j], wobble * want.error[j] + 1e-6F * want.norm[j]) << where;
            int32_t sum = 0;
            for (int64_t i = 0; i < GroupsOf(d, width) * (width == NumberWidth::kInt8 ? 4 : 2); ++i) {
              const int32_t key = KeyNumber(width, expected_keys, j, i);
              const int32_t query = QueryNumber(width, expected_queries, d, j, i);
              ASSERT_NEAR(KeyNumber(width, keys, j, i), key, AllowedDifference(width, key)) << where << " " << i;
              ASSERT_NEAR(QueryNumber(width, queries, d, j, i), query, AllowedDifference(width, query)) << where;
              sum += QueryNumber(width, queries, d, j, i);
              ASSERT_TRUE(i < d || QueryNumber(width, queries, d, j, i) == 0) << where << " " << i;
            }
            EXPECT_EQ(got.sum[j], sum) << where;
          }
        }
      }
    }
  }
}

// By Cauchy and Schwarz no dot product of vectors of these norms, nor a part of one, leaves int32.
TEST_F(QuantizeTest, Int16VectorsHaveNormsBelowTwoToThe15) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : kHeadSizes) {
      // All numbers alike, one alone, and the rounding at its worst: the largest norms.
      for (float outlier : {1.0F, 1e6F, 0.0F}) {
        AlignedArray<float> panel = OutlierPanel(random_, d, outlier == 0.0F ? 1.0F : 0.0F, outlier);
        for (int64_t i = 0; i < panel.size() && outlier == 0.0F; ++i) panel[i] = 1.0F;
        AlignedArray<uint8_t> keys(QuantizedPanelBytes(d, NumberWidth::kInt16));
        AlignedArray<uint8_t> queries(QuantizedPanelBytes(d, NumberWidth::kInt16));
        Facts rows;
        QuantizeKeys(NumberWidth::kInt16, panel.data(), d, keys.data());
        QuantizeQueries(NumberWidth::kInt16, panel.data(), d, queries.data(), rows.view());
        double largest = 0;
        for (int64_t j = 0; j < kBlockKeys; ++j) {
          double key2 = 0;
          double query2 = 0;
          for (int64_t i = 0; i < d; ++i) {
            key2 += std::pow(KeyNumber(NumberWidth::kInt16, keys, j, i), 2);
            query2 += std::pow(QueryNumber(NumberWidth::kInt16, queries, d, j, i), 2);
          }
          largest = std::max(largest, key2);
          EXPECT_LT(query2, 0x1p30) << target << " d " << d;
          EXPECT_GT(query2, 0.99 * 0x1p30) << target << " d " << d << ": bits are wasted";
        }
        EXPECT_LT(largest, 0x1p30) << target << " d " << d;
        EXPECT_GT(largest, 0.99 * 0x1p30) << target << " d " << d << ": bits are wasted";
      }
    }
  }
}

// Finite keys may overflow while they are transformed: infinities of either sign add up to NaN.
TEST_F(QuantizeTest, KeysThatOverflowedHaveNoBound) {
  const auto is_no_bound = [](float x) { return !(x < std::numeric_limits<float>::infinity()); };
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (const NumberWidth width : kWidths) {
      for (int64_t key : {int64_t{0}, int64_t{3}, int64_t{17}, kBlockKeys - 1}) {
        constexpr int64_t kSize = 64;
        AlignedArray<float> panel = OutlierPanel(random_, kSize, 0.0F, 1.0F);
        for (int64_t i = 0; i < 4; ++i) panel[i * kBlockKeys + key] = 3e38F;
        const std::vector<float> factor(kSize, 1.0F);
        TransformPanel(panel.data(), kSize, nullptr, factor.data(), 1.0F);
        AlignedArray<uint8_t> keys(QuantizedPanelBytes(kSize, width));
        const BlockFacts facts = QuantizeKeys(width, panel.data(), kSize, keys.data());
        EXPECT_TRUE(is_no_bound(facts.norm) && is_no_bound(facts.error)) << target << " key " << key;
      }
    }
  }
}

// The whole chain: a score from int8 numbers is off by at most what the facts say.
TEST_F(QuantizeTest, BoundsTheErrorOfEveryScore) {
  for (const NumberWidth width : kWidths) {
    double tightest = 1e30;
    for (int64_t d : kHeadSizes) {
      for (float bias : {0.0F, 1000.0F}) {
        for (float outlier : {1.0F, 100.0F}) {
          const AlignedArray<float> k = OutlierPanel(random_, d, bias, outlier);
          const AlignedArray<float> q = OutlierPanel(random_, d, 0.0F, 1.0F / outlier);
          const std::vector<float> mean(d, bias);
          std::vector<float> equalise(d, 1.0F);
          std::vector<float> inverse(d, 1.0F);
          equalise[0] = outlier > 1 ? 1.0F / 128 : 1.0F;
          inverse[0] = 1.0F / equalise[0];

          AlignedArray<float> y = k;
          AlignedArray<float> x = q;
          TransformPanel(y.data(), d, mean.data(), equalise.data(), 1.0F);
          TransformPanel(x.data(), d, nullptr, inverse.data(), 1.0F / static_cast<float>(HadamardSize(d)));
          AlignedArray<uint8_t> keys(QuantizedPanelBytes(d, width)), queries(QuantizedPanelBytes(d, width));
          const BlockFacts block = QuantizeKeys(width, y.data(), d, keys.data());
          Facts rows;
          QuantizeQueries(width, x.data(), d, queries.data(), rows.view());

          for (int64_t r = 0; r < kBlockKeys; ++r) {
            for (int64_t j = 0; j < kBlockKeys; ++j) {
              double exact = 0;
              int64_t dot = 0;
              for (int64_t i = 0; i < d; ++i) {
                exact +=
                    static_cast<double>(q[i * kBlockKeys + r]) * (static_cast<double>(k[i * kBlockKeys + j]) - bias);
                dot += int64_t{QueryNumber(width, queries, d, r, i)} * KeyNumber(width, keys, j, i);
              }
              const double score = static_cast<double>(rows.scale[r]) * block.scale * static_cast<double>(dot);
              const double bound = (rows.error[r] + static_cast<double>(kTransformUnits) * rows.norm[r]) * block.norm +
                                   (static_cast<double>(rows.norm[r]) + rows.error[r]) * block.error;
              ASSERT_LE(std::abs(score - exact), bound) << "d " << d << " bias " << bias << " outlier " << outlier;
              tightest = std::min(tightest, bound / (std::abs(score - exact) + 1e-30));
            }
          }
        }
      }
    }
    EXPECT_LT(tightest, 20) << "the bound is so wide that it would hide an error of its own";
  }
}

// What int16 is for. The largest of a block's Gaussian numbers, about 4, becomes 127 in int8; in int16 the norm sqrt(d)
// becomes 2^15: 1,000 / sqrt(d) times as fine, and a little less as the largest norm of the block counts.
TEST_F(QuantizeTest, Int16IsManyTimesAsFineAsInt8) {
  for (int64_t d : {64, 128}) {
    const AlignedArray<float> panel = OutlierPanel(random_, d, 0.0F, 1.0F);
    AlignedArray<uint8_t> keys(QuantizedPanelBytes(d, NumberWidth::kInt16));
    const BlockFacts int8 = QuantizeKeys(NumberWidth::kInt8, panel.data(), d, keys.data());
    const BlockFacts int16 = QuantizeKeys(NumberWidth::kInt16, panel.data(), d, keys.data());
    EXPECT_LT(800 / std::sqrt(static_cast<float>(d)) * int16.error, int8.error) << d;
  }
}

}  // namespace
}  // namespace topk
