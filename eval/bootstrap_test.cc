#include "bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace qwen_infer::eval {
namespace {

std::vector<Block> GaussianBlocks(size_t count, double mean, double deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<Block> blocks(count);
  for (Block& block : blocks) block = {.sum = 10 * normal(random), .tokens = 10};
  return blocks;
}

TEST(BootstrapTest, MeanIsByTokensAndNotByBlocks) {
  const std::vector<Block> blocks = {{.sum = 3, .tokens = 1}, {.sum = 3, .tokens = 5}};
  EXPECT_DOUBLE_EQ(BootstrapMean(blocks, 1).mean, 1);
}

TEST(BootstrapTest, IntervalHasTheWidthThatTheStandardErrorSays) {
  constexpr size_t kBlocks = 400;
  constexpr double kDeviation = 2;
  const Estimate estimate = BootstrapMean(GaussianBlocks(kBlocks, 5, kDeviation, 3), 1);
  // 1.96 standard errors to each side; the sample's own deviation is within a tenth of the true one.
  const double expected = 2 * 1.96 * kDeviation / std::sqrt(kBlocks);
  EXPECT_NEAR(estimate.high - estimate.low, expected, 0.1 * expected);
  EXPECT_LT(estimate.low, estimate.mean);
  EXPECT_GT(estimate.high, estimate.mean);
}

TEST(BootstrapTest, IntervalHoldsTheTruthAsOftenAsItSays) {
  constexpr int kRepetitions = 200;
  int held = 0;
  for (int i = 0; i < kRepetitions; ++i) {
    const Estimate estimate = BootstrapMean(GaussianBlocks(60, 1, 1, 100 + i), 1);
    held += estimate.low <= 1 && 1 <= estimate.high ? 1 : 0;
  }
  // 95 %, give or take three standard deviations of a count of 200.
  EXPECT_GE(held, 0.95 * kRepetitions - 10);
  EXPECT_LE(held, 0.95 * kRepetitions + 10);
}

TEST(BootstrapTest, SameSeedGivesTheSameIntervalAndAnotherOneAnother) {
  const std::vector<Block> blocks = GaussianBlocks(50, 0, 1, 7);
  EXPECT_EQ(BootstrapMean(blocks, 1).low, BootstrapMean(blocks, 1).low);
  EXPECT_NE(BootstrapMean(blocks, 1).low, BootstrapMean(blocks, 2).low);
}

TEST(BootstrapTest, DifferencesThatAreAllTheSameHaveNoWidth) {
  const Estimate estimate = BootstrapMean(std::vector<Block>(9, {.sum = 2, .tokens = 4}), 1);
  EXPECT_DOUBLE_EQ(estimate.low, 0.5);
  EXPECT_DOUBLE_EQ(estimate.high, 0.5);
}

TEST(BootstrapTest, WithoutBlocksThereIsNoMeanAndOfOneNoInterval) {
  EXPECT_TRUE(std::isnan(BootstrapMean({}, 1).mean));
  const std::vector<Block> one = {{.sum = 3, .tokens = 2}};
  EXPECT_DOUBLE_EQ(BootstrapMean(one, 1).mean, 1.5);
  EXPECT_FALSE(BootstrapMean(one, 1).HasInterval());
  EXPECT_TRUE(BootstrapMean(std::vector<Block>(2, one.front()), 1).HasInterval());
}

}  // namespace
}  // namespace qwen_infer::eval
