#include "eval/tune/allocation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>

namespace qwen_infer::tune {
namespace {

// kl = weight / k, mass = 1 - weight / k.
std::vector<Curve> CurvesWith(std::initializer_list<double> weights) {
  std::vector<Curve> curves;
  for (const double weight : weights) {
    std::vector<CurvePoint> points;
    for (const int64_t k : {16, 64, 256, 1024}) {
      points.push_back({k, weight / static_cast<double>(k), 1 - weight / static_cast<double>(k)});
    }
    curves.emplace_back(points);
  }
  return curves;
}

TEST(TuneAllocationTest, EqualLayersGetEqualBudgets) {
  Budgets budgets;
  ASSERT_TRUE(AllocateBudget(CurvesWith({1, 1, 1}), 128, budgets).ok());
  EXPECT_EQ(budgets, (Budgets{128, 128, 128}));
}

// The least sum of weight / k with a given sum of k has k in proportion to the root of the weight.
TEST(TuneAllocationTest, FindsTheKnownOptimumOfPowerLaws) {
  const std::vector<Curve> curves = CurvesWith({1, 4, 16});
  Budgets budgets;
  ASSERT_TRUE(AllocateBudget(curves, 140, budgets).ok());
  // Within a step and a half.
  EXPECT_NEAR(static_cast<double>(budgets[0]), 60, 8);
  EXPECT_NEAR(static_cast<double>(budgets[1]), 120, 16);
  EXPECT_NEAR(static_cast<double>(budgets[2]), 240, 32);
  EXPECT_LE(MeanOf(budgets), 140);
  EXPECT_GT(MeanOf(budgets), 135);
  EXPECT_LT(ExpectedKl(curves, budgets), 0.9 * ExpectedKl(curves, {140, 140, 140}));
}

// The second layer gains nothing from its first steps, and nearly all from those behind: a greedy that looks one step
// ahead would never give it any. 84 is where its hull's first edge ends: kl = (64 / k)^10 from 64 on.
TEST(TuneAllocationTest, SeesPastAPlateau) {
  const std::vector<Curve> curves = {Curve({{16, 0.010, 0.5}, {64, 0.009, 0.5}, {256, 0.008, 0.5}}),
                                     Curve({{16, 1, 0.5}, {64, 1, 0.5}, {256, std::pow(4, -10), 0.5}})};
  Budgets budgets;
  ASSERT_TRUE(AllocateBudget(curves, 50, budgets).ok());
  EXPECT_EQ(budgets, (Budgets{16, 84}));
}

TEST(TuneAllocationTest, BudgetsStayWithinWhatWasMeasured) {
  const std::vector<Curve> curves = CurvesWith({0.001, 1000});
  Budgets budgets;
  ASSERT_TRUE(AllocateBudget(curves, 1024, budgets).ok());
  EXPECT_EQ(budgets, (Budgets{1024, 1024}));
  ASSERT_TRUE(AllocateBudget(curves, 16, budgets).ok());
  EXPECT_EQ(budgets, (Budgets{16, 16}));
  EXPECT_EQ(AllocateBudget(curves, 15, budgets).message(), "the least budget of a layer is 16");
}

TEST(TuneAllocationTest, ReachesADivergenceWithAsFewKeysAsItCan) {
  const std::vector<Curve> curves = CurvesWith({1, 4, 16});
  Budgets budgets;
  ASSERT_TRUE(AllocateKl(curves, 0.1, budgets).ok());
  EXPECT_LE(ExpectedKl(curves, budgets), 0.1);
  EXPECT_GT(ExpectedKl(curves, budgets), 0.09);
  EXPECT_NE(AllocateKl(curves, 0.01, budgets).message().find("with 1024 keys in every layer"), std::string::npos);
}

TEST(TuneAllocationTest, EveryLayerGetsTheKeysForTheMass) {
  Budgets budgets;
  ASSERT_TRUE(AllocateMass(CurvesWith({1.6, 6.4}), 0.9, budgets).ok());
  EXPECT_EQ(budgets, (Budgets{16, 64}));
  EXPECT_EQ(AllocateMass(CurvesWith({1.6, 1024}), 0.9, budgets).message(),
            "layer 1 has a mean mass of 0.000000 with 1024 keys, the most that are tried");
}

}  // namespace
}  // namespace qwen_infer::tune
