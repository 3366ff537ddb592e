// Int8 panels against their references, and the bound on what they change in a score.
#include "topk/quantize/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/aligned_array.h"

namespace topk {
namespace {

using testing::AlignedArray;

constexpr int64_t kHeadSizes[] = {1, 3, 16, 20, 64, 80, 128, 576};

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

TEST_F(QuantizeTest, RoundsAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : kHeadSizes) {
      for (float size : {1.0F, 0.0F, 1e-35F, 1e15F}) {
        AlignedArray<float> panel = OutlierPanel(random_, d, 0.0F, 30.0F);
        for (int64_t i = 0; i < panel.size(); ++i) panel[i] *= size;
        const std::string where = std::string(target) + " d " + std::to_string(d) + " size " + std::to_string(size);

        AlignedArray<uint8_t> keys(QuantizedPanelBytes(d)), expected_keys(QuantizedPanelBytes(d));
        const BlockFacts facts = QuantizeKeys(panel.data(), d, keys.data());
        const BlockFacts expected = QuantizeKeysReference(panel.data(), d, expected_keys.data());
        EXPECT_EQ(facts.scale, expected.scale) << where;
        EXPECT_NEAR(facts.norm, expected.norm, 1e-4F * expected.norm) << where;
        // Residuals are differences of numbers that are up to 127 times as large.
        EXPECT_NEAR(facts.error, expected.error, 1e-4F * expected.error + 1e-6F * expected.norm) << where;
        for (int64_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], expected_keys[i]) << where << " byte " << i;

        AlignedArray<int8_t> queries(QuantizedPanelBytes(d)), expected_queries(QuantizedPanelBytes(d));
        Facts got;
        Facts want;
        QuantizeQueries(panel.data(), d, queries.data(), got.view());
        QuantizeQueriesReference(panel.data(), d, expected_queries.data(), want.view());
        for (int64_t i = 0; i < queries.size(); ++i) ASSERT_EQ(queries[i], expected_queries[i]) << where << " " << i;
        EXPECT_EQ(got.scale, want.scale) << where;
        EXPECT_EQ(got.sum, want.sum) << where;
        for (int64_t j = 0; j < kBlockKeys; ++j) {
          EXPECT_NEAR(got.norm[j], want.norm[j], 1e-4F * want.norm[j]) << where;
          EXPECT_NEAR(got.error[j], want.error[j], 1e-4F * want.error[j] + 1e-6F * want.norm[j]) << where;
        }
      }
    }
  }
}

// The whole chain: a score from int8 numbers is off by at most what the facts say.
TEST_F(QuantizeTest, BoundsTheErrorOfEveryScore) {
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
        AlignedArray<uint8_t> keys(QuantizedPanelBytes(d));
        AlignedArray<int8_t> queries(QuantizedPanelBytes(d));
        const BlockFacts block = QuantizeKeys(y.data(), d, keys.data());
        Facts rows;
        QuantizeQueries(x.data(), d, queries.data(), rows.view());

        for (int64_t r = 0; r < kBlockKeys; ++r) {
          for (int64_t j = 0; j < kBlockKeys; ++j) {
            double exact = 0;
            int64_t dot = 0;
            for (int64_t i = 0; i < d; ++i) {
              exact += static_cast<double>(q[i * kBlockKeys + r]) * (static_cast<double>(k[i * kBlockKeys + j]) - bias);
              dot += int64_t{queries[r * GroupsOf(d) * kGroup + i]} *
                     (keys[(i / kGroup * kBlockKeys + j) * kGroup + i % kGroup] - 128);
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

}  // namespace
}  // namespace topk
