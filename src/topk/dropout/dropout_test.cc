// Dropout against its reference on every SIMD target, and what a dropout must be: unbiased, independent, repeatable.
#include "topk/dropout/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace topk {
namespace {

AttentionInput InputWith(float p, uint64_t seed) {
  AttentionInput input;
  input.dropout_p = p;
  input.dropout_seed = seed;
  return input;
}

// Whether each of keys [0, count) is kept in a row.
std::vector<bool> Kept(const AttentionInput& input, int64_t row, int64_t count) {
  std::vector<bool> kept;
  const DropoutRow dropout = DropoutRow::Of(input, row);
  for (int64_t key = 0; key < count; ++key) kept.push_back(DropoutFactor(dropout, static_cast<KeyIndex>(key)) != 0.0F);
  return kept;
}

TEST(DropoutTest, EqualsReferenceOnEveryTarget) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (float p : {0.0F, 0.1F, 0.5F, 0x1.FFFFFEp-1F}) {
      for (size_t count : {0, 1, 3, 4, 15, 16, 17, 300}) {
        std::vector<KeyIndex> keys(count);
        std::vector<float> weights(count);
        for (size_t j = 0; j < count; ++j) {
          keys[j] = static_cast<KeyIndex>(7 * j * j);
          weights[j] = j % 5 == 4 ? std::numeric_limits<float>::quiet_NaN() : 0.01F * static_cast<float>(j);
        }
        std::vector<float> expected = weights;
        const DropoutRow row = DropoutRow::Of(InputWith(p, 3), int64_t{1} << 35);
        DropWeights(row, keys, weights.data());
        DropWeightsReference(row, keys, expected.data());
        for (size_t j = 0; j < count; ++j) {
          if (std::isnan(expected[j])) {
            ASSERT_TRUE(std::isnan(weights[j])) << target << " p " << p << " at " << j;
          } else {
            ASSERT_EQ(weights[j], expected[j]) << target << " p " << p << " at " << j;
          }
        }
      }
    }
  }
  UseSimdTarget(nullptr);
}

// Counts of n independent trials lie within 5 standard deviations of n p: wrong once in two million.
void ExpectBinomial(int64_t count, int64_t n, double p, const std::string& what) {
  EXPECT_NEAR(static_cast<double>(count), static_cast<double>(n) * p,
              5 * std::sqrt(static_cast<double>(n) * p * (1 - p)))
      << what;
}

TEST(DropoutTest, DropsTheShareAskedForIndependentlyOfRowKeyAndSeed) {
  constexpr int64_t kKeys = 100000;
  for (float p : {0.1F, 0.5F, 0.9F}) {
    const auto keep = 1 - static_cast<double>(p);
    const std::vector<bool> kept = Kept(InputWith(p, 1), 5, kKeys);
    ExpectBinomial(std::count(kept.begin(), kept.end(), true), kKeys, keep, "one row");
    const auto expect_independent = [&](const std::vector<bool>& other, int64_t shift, const std::string& what) {
      int64_t both = 0;
      for (int64_t j = shift; j < kKeys; ++j) both += kept[j] && other[j - shift] ? 1 : 0;
      ExpectBinomial(both, kKeys - shift, keep * keep, what);
    };
    expect_independent(kept, 1, "neighbouring keys");
    expect_independent(kept, 64, "keys of the next block");
    expect_independent(Kept(InputWith(p, 1), 6, kKeys), 0, "the next row");
    expect_independent(Kept(InputWith(p, 2), 5, kKeys), 0, "the next seed");
    expect_independent(Kept(InputWith(p, uint64_t{1} << 63), 5, kKeys), 0, "another seed");
  }
  int64_t of_one_key = 0;
  for (int64_t row = 0; row < kKeys; ++row) {
    of_one_key += DropoutFactor(DropoutRow::Of(InputWith(0.25F, 9), row), 17) != 0.0F ? 1 : 0;
  }
  ExpectBinomial(of_one_key, kKeys, 0.75, "one key over all rows");
}

TEST(DropoutTest, AppliesToASelectionRowByRowAndInPlace) {
  const std::vector<int64_t> offsets = {0, 40, 40, 100};
  std::vector<KeyIndex> keys(100);
  std::iota(keys.begin(), keys.begin() + 40, 0);
  std::iota(keys.begin() + 40, keys.end(), 0);
  std::vector<float> weights(100, 0.5F);
  const AttentionInput input = InputWith(0.5F, 4);
  std::vector<float> dropped(100);
  ApplyDropout(input, {offsets, keys, weights}, dropped.data());
  const std::vector<bool> first = Kept(input, 0, 40);
  const std::vector<bool> last = Kept(input, 2, 60);
  for (int64_t j = 0; j < 40; ++j) EXPECT_EQ(dropped[j], first[j] ? 1.0F : 0.0F);
  for (int64_t j = 0; j < 60; ++j) EXPECT_EQ(dropped[40 + j], last[j] ? 1.0F : 0.0F);
  ApplyDropout(input, {offsets, keys, weights}, weights.data());
  EXPECT_EQ(weights, dropped);
  ApplyDropout(InputWith(0.0F, 4), {offsets, keys, weights}, dropped.data());
  EXPECT_EQ(dropped, weights);
}

}  // namespace
}  // namespace topk
