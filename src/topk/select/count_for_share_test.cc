#include "topk/select/count_for_share.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace topk {
namespace {

// Integers as weights, so that no sum rounds and both must agree exactly.
std::vector<float> RandomWeights(std::mt19937& random, int64_t count, float octaves) {
  std::uniform_real_distribution<float> exponent(0.0F, octaves);
  std::vector<float> weights(static_cast<size_t>(count));
  for (float& weight : weights) weight = std::round(std::exp2(exponent(random))) - 1.0F;
  return weights;
}

int64_t CountOf(std::vector<float> weights, double share) {
  return CountForShare(weights.data(), static_cast<int64_t>(weights.size()), share);
}

TEST(CountForShareTest, IsThatOfSortedWeights) {
  std::mt19937 random(1);
  for (const int64_t count : {1, 2, 7, 100, 1024}) {
    for (const float octaves : {0.5F, 4.0F, 23.0F}) {  // 23: many in the last bucket
      std::vector<float> weights = RandomWeights(random, count, octaves);
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (const double share : {0.1, 0.5, 0.9, 0.999, 1.0}) {
        std::vector<float> sorted = weights;
        EXPECT_EQ(CountOf(weights, share * sum), CountForShareReference(sorted.data(), count, share * sum))
            << count << " weights of " << octaves << " octaves, share " << share;
      }
    }
  }
}

TEST(CountForShareTest, CountsEqualWeights) {
  const std::vector<float> weights(100, 0.25F);
  EXPECT_EQ(CountOf(weights, 0.25), 1);
  EXPECT_EQ(CountOf(weights, 0.26), 2);
  EXPECT_EQ(CountOf(weights, 25.0), 100);
  EXPECT_EQ(CountOf(weights, 25.1), 101);
}

TEST(CountForShareTest, NothingIsAskedFor) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double share : {0.0, -1.0, nan}) EXPECT_EQ(CountOf({1.0F, 2.0F}, share), 0) << share;
}

TEST(CountForShareTest, NoneOrZeroWeightsAreNotEnough) {
  EXPECT_EQ(CountOf({}, 0.5), 1);
  EXPECT_EQ(CountOf({}, 0.0), 0);
  EXPECT_EQ(CountOf({0.0F, 0.0F}, 0.5), 3);
  EXPECT_EQ(CountOf({1.0F}, std::numeric_limits<double>::infinity()), 2);
}

TEST(CountForShareTest, TinyWeightsCount) {
  std::vector<float> weights(64, 0x1p-20F);
  weights[13] = 1.0F;
  EXPECT_EQ(CountOf(weights, 1.0 + 3 * 0x1p-20), 4);
}

}  // namespace
}  // namespace topk
