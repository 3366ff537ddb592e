// The scan against its references, and its error bound against the canonical score.
#include "topk/scan/scan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "topk/canonical/canonical.h"
#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

class ScanTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }
};

TEST_F(ScanTest, MultipliesTilesOfEveryEdge) {
  std::mt19937 random(1);
  std::normal_distribution<float> gaussian;
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t n_rows : {0, 1, 5, 6, 7, 12, 13}) {
      for (int64_t n_columns : {16, 32, 64, 80, 144}) {
        for (int64_t depth : {1, 2, 64}) {
          for (bool accumulate : {false, true}) {
            AlignedArray<float> a(16 * depth), b(depth * n_columns), c(16 * n_columns);
            for (int64_t i = 0; i < a.size(); ++i) a[i] = gaussian(random);
            for (int64_t i = 0; i < b.size(); ++i) b[i] = gaussian(random);
            for (int64_t i = 0; i < c.size(); ++i) c[i] = gaussian(random);
            AlignedArray<float> expected = c;
            MultiplyTile(a.data(), depth, b.data(), n_columns, c.data(), n_columns, n_rows, n_columns, depth,
                         accumulate);
            MultiplyTileReference(a.data(), depth, b.data(), n_columns, expected.data(), n_columns, n_rows, n_columns,
                                  depth, accumulate);
            // depth + 1 roundings of sums of at most about 5 * depth
            const float tolerance = 0x1p-23F * static_cast<float>(depth + 1) * 5.0F * static_cast<float>(depth + 1);
            for (int64_t i = 0; i < c.size(); ++i) ASSERT_NEAR(c[i], expected[i], tolerance) << target << " " << i;
          }
        }
      }
    }
  }
}

TEST_F(ScanTest, CapsAndMasksAsTheReferences) {
  std::mt19937 random(2);
  std::normal_distribution<float> gaussian(0.0F, 20.0F);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    AlignedArray<float> scores(kBlockKeys);
    for (int64_t j = 0; j < kBlockKeys; ++j) scores[j] = gaussian(random);
    AlignedArray<float> expected = scores;
    Softcap(30.0F, scores.data());
    SoftcapReference(30.0F, expected.data());
    for (int64_t j = 0; j < kBlockKeys; ++j) {
      ASSERT_NEAR(scores[j], expected[j], kSoftcapUlps * 0x1p-24F * 30.0F) << target;
    }
    for (int64_t count : {0, 1, 15, 16, 17, 64}) {
      for (DataType type : {DataType::kF16, DataType::kF32}) {
        RandomTensor mask(type, 1, 1, 1, kBlockKeys, 0);
        mask.FillGaussian(random);
        mask.Set(0, 0, 0, 7, -std::numeric_limits<float>::infinity());
        AlignedArray<float> masked = scores;
        AlignedArray<float> reference = scores;
        AddMask(type, mask.view().Row(0, 0, 0), 0.5F, count, masked.data());
        AddMaskReference(type, mask.view().Row(0, 0, 0), 0.5F, count, reference.data());
        for (int64_t j = 0; j < kBlockKeys; ++j) ASSERT_EQ(masked[j], reference[j]) << target << " " << j;
      }
    }
  }
}

// |s~ - s| <= e over keys of very different sizes: the claim that the exact selection rests on.
TEST_F(ScanTest, StaysWithinItsErrorBound) {
  std::mt19937 random(3);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {1, 64, 128, 576, 1024}) {
      for (float deviation : {1e-30F, 1.0F, 1e6F}) {
        RandomTensor keys(DataType::kF32, 1, kBlockKeys, 1, d, 0);
        keys.FillGaussian(random, deviation);
        RandomTensor query(DataType::kF32, 1, 1, 1, d, 0);
        query.FillGaussian(random);
        const auto* q = reinterpret_cast<const float*>(query.view().Row(0, 0, 0));
        const float scale = 1.0F / std::sqrt(static_cast<float>(d));

        AlignedArray<float> scaled(PadToLanes(d)), panel(d * kBlockKeys), scores(kBlockKeys);
        AlignedArray<int32_t> magnitude(PadToLanes(d));
        for (int64_t i = 0; i < d; ++i) scaled[i] = q[i] * scale;
        PackKeys(keys.view(), 0, kBlockKeys, d, panel.data(), magnitude.data());
        MultiplyTile(scaled.data(), d, panel.data(), kBlockKeys, scores.data(), kBlockKeys, 1, kBlockKeys, d, false);
        const float error = ScanError(scaled.data(), magnitude.data(), d, 0.0F);
        EXPECT_NEAR(error, ScanErrorReference(scaled.data(), magnitude.data(), d, 0.0F), 1e-3F * error);
        for (int64_t j = 0; j < kBlockKeys; ++j) {
          const double exact =
              static_cast<double>(scale) * CanonicalDotReference(q, DataType::kF32, keys.view().Row(0, j, 0), d);
          ASSERT_LE(std::abs(static_cast<double>(scores[j]) - exact), static_cast<double>(error)) << target;
        }
      }
    }
  }
}

TEST_F(ScanTest, ErrorIsNotFiniteIfAScoreMayNotBe) {
  AlignedArray<float> q(16);
  AlignedArray<int32_t> magnitude(16);
  q[0] = 1.0F;
  for (float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e35F}) {
    magnitude[0] = std::bit_cast<int32_t>(bad);
    for (const char* target : SimdTargets()) {
      ASSERT_TRUE(UseSimdTarget(target));
      EXPECT_FALSE(std::isfinite(ScanError(q.data(), magnitude.data(), 16, 0.0F))) << target << " " << bad;
    }
  }
}

}  // namespace
}  // namespace topk
