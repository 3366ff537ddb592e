#include "eval/tasks/paired.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace qwen_infer::tasks {
namespace {

TEST(McNemarTest, IsTheTwoSidedBinomialTestOfThePairsThatDiffer) {
  // 2 (1 + 8 + 28) / 2^8, and 2 / 2^5, by hand.
  EXPECT_NEAR(McNemarExact(2, 6), 74.0 / 256, 1e-12);
  EXPECT_NEAR(McNemarExact(0, 5), 2.0 / 32, 1e-12);
  // 2 (1 + 14 + 91) / 2^14.
  EXPECT_NEAR(McNemarExact(12, 2), 212.0 / 16384, 1e-12);
}

TEST(McNemarTest, HasNoDirection) { EXPECT_EQ(McNemarExact(3, 9), McNemarExact(9, 3)); }

TEST(McNemarTest, SaysNothingWithoutADifferenceOrWithEqualOnes) {
  EXPECT_EQ(McNemarExact(0, 0), 1);
  EXPECT_EQ(McNemarExact(0, 1), 1);
  EXPECT_EQ(McNemarExact(4, 4), 1);
}

TEST(McNemarTest, HoldsWhereTwoToThePowerOfThePairsOverflows) {
  // 5000 pairs, z = 2 with the correction for continuity: 2 (1 - Phi(2)) = 0.0455.
  EXPECT_NEAR(McNemarExact(2429, 2571), 0.0460, 0.001);
  EXPECT_GE(McNemarExact(0, 5000), 0);
  EXPECT_LT(McNemarExact(0, 5000), 1e-300);
}

TEST(MeanDifferenceTest, IsTheIntervalOfBonettAndPriceForRightAndWrong) {
  // 20 pairs: 6 only with the second, 2 only with the first. p12 = 7/22, p21 = 3/22, their difference 4/22; by hand:
  // 4/22 -+ 1.96 sqrt((10/22 - (4/22)^2) / 22).
  std::vector<double> differences(20, 0.0);
  for (size_t i = 0; i < 8; ++i) differences[i] = i < 6 ? 1 : -1;
  const eval::Estimate estimate = MeanDifference(differences, 1);
  EXPECT_DOUBLE_EQ(estimate.mean, 4.0 / 20);
  const double half = 1.959964 * std::sqrt((10.0 / 22 - 16.0 / 484) / 22);
  EXPECT_NEAR(estimate.low, 4.0 / 22 - half, 1e-9);
  EXPECT_NEAR(estimate.high, 4.0 / 22 + half, 1e-9);
}

TEST(MeanDifferenceTest, HasAWidthWhereAllPairsAreAlike) {
  const eval::Estimate few = MeanDifference(std::vector<double>(10, 0.0), 1);
  const eval::Estimate many = MeanDifference(std::vector<double>(100, 0.0), 1);
  EXPECT_EQ(few.mean, 0);
  EXPECT_LT(few.low, many.low);
  EXPECT_LT(many.low, 0);
  EXPECT_NEAR(many.high, 1.959964 * std::sqrt(2.0 / 102 / 102), 1e-9);
}

TEST(MeanDifferenceTest, StaysWithinWhatScoresCanDiffer) {
  const eval::Estimate estimate = MeanDifference(std::vector<double>(2, -1.0), 1);
  EXPECT_EQ(estimate.mean, -1);
  EXPECT_EQ(estimate.low, -1);
}

TEST(MeanDifferenceTest, IsNotANumberWithoutPairs) {
  EXPECT_TRUE(std::isnan(MeanDifference({}, 1).mean));
  EXPECT_FALSE(MeanDifference({}, 1).HasInterval());
}

}  // namespace
}  // namespace qwen_infer::tasks
