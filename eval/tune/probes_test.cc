#include "eval/tune/probes.h"

#include <gtest/gtest.h>

#include <array>

namespace qwen_infer::tune {
namespace {

constexpr std::array<int64_t, 4> kBudgets = {16, 64, 256, 1024};
constexpr int64_t kMostSeen = 4095;

TEST(TuneProbesTest, BudgetsAreThoseOfWhichEveryRowDropsSomething) {
  EXPECT_EQ(ProbedBudgets(3968), (std::vector<int64_t>{16, 64, 256, 1024}));
  EXPECT_EQ(ProbedBudgets(1025), (std::vector<int64_t>{16, 64, 256, 1024}));
  EXPECT_EQ(ProbedBudgets(896), (std::vector<int64_t>{16, 64, 256, 895}));
  EXPECT_EQ(ProbedBudgets(65), (std::vector<int64_t>{16, 64}));
  EXPECT_EQ(ProbedBudgets(kLeastSeen), (std::vector<int64_t>{16, 17}));
}

TEST(TuneProbesTest, EachChangesOneLayerAndMeasuresItsMass) {
  const std::vector<eval::Setting> probes = Probes(3, kBudgets);
  ASSERT_EQ(probes.size(), 3 * kBudgets.size());
  const Settings& settings = probes[kBudgets.size() + 1].settings;  // of layer 1
  constexpr int64_t kWindow = 1 << 20;
  for (const int other : {0, 2}) {
    EXPECT_GE(settings.ForLayer(other, kWindow).k, kWindow);
    EXPECT_EQ(settings.ForLayer(other, kWindow).mass, topk::MassMode::kOff);
  }
  EXPECT_EQ(settings.ForLayer(1, kWindow).k, kBudgets[1]);
  EXPECT_EQ(settings.ForLayer(1, kWindow).mass, topk::MassMode::kExact);
  EXPECT_EQ(settings.ForLayer(1, kWindow).crossover, 0);
}

// Two windows of two layers; the divergences are those of the budgets of both layers.
std::vector<eval::WindowScores> WindowsWith(const std::array<float, kBudgets.size()>& kl) {
  eval::WindowScores window(1 + 2 * kl.size());
  for (size_t i = 0; i < 2 * kl.size(); ++i) {
    window[1 + i].kl = {kl[i % kl.size()], kl[i % kl.size()]};
    window[1 + i].attention = {.rows = 4, .mass_rows = 2, .mass_sum = 1};
  }
  return {window, window};
}

TEST(TuneProbesTest, CurvesAreMeansOverAllTokensOfAllWindows) {
  std::vector<eval::WindowScores> windows = WindowsWith({0.5F, 0.3F, 0.2F, 0});
  // Layer 1 with the third budget and with the last.
  windows[1][1 + kBudgets.size() + 2].kl = {0.05F};
  windows[1].back().attention.mass_sum = 2;
  const std::vector<Curve> curves = CurvesOf(windows, 2, kBudgets, kMostSeen);
  ASSERT_EQ(curves.size(), 2U);
  EXPECT_NEAR(curves[0].points()[2].kl, 0.2, 1e-6);
  EXPECT_NEAR(curves[1].points()[2].kl, 0.15, 1e-6);
  EXPECT_NEAR(curves[1].points()[3].mass, 0.75, 1e-12);
  EXPECT_EQ(curves[1].points()[2].k, kBudgets[2]);
}

TEST(TuneProbesTest, WhatTheLargestBudgetLeavesIsRounding) {
  const std::vector<CurvePoint> points =
      CurvesOf(WindowsWith({0.5F, 0.3F, 0.2F, 0.1F}), 2, kBudgets, kMostSeen)[0].points();
  EXPECT_NEAR(points[0].kl, 0.4, 1e-6);
  EXPECT_NEAR(points[1].kl, 0.2, 1e-6);
  EXPECT_NEAR(points[2].kl, 0.1, 1e-6);
  EXPECT_NEAR(points[3].kl, 0.05, 1e-6);
  const std::vector<CurvePoint> all_equal =
      CurvesOf(WindowsWith({0.1F, 0.1F, 0.1F, 0.1F}), 2, kBudgets, kMostSeen)[0].points();
  EXPECT_EQ(all_equal[0].kl, 0);
  EXPECT_EQ(all_equal[3].kl, 0);
}

TEST(TuneProbesTest, ABudgetThatCoversAllKeysLosesNothing) {
  constexpr std::array<int64_t, 4> kSmall = {16, 64, 256, 895};
  const std::vector<CurvePoint> points = CurvesOf(WindowsWith({0.5F, 0.3F, 0.2F, 0.1F}), 2, kSmall, 1023)[0].points();
  ASSERT_EQ(points.size(), 5U);
  EXPECT_EQ(points[4].k, 1023);
  EXPECT_EQ(points[4].kl, 0);
  EXPECT_EQ(points[4].mass, 1);
}

}  // namespace
}  // namespace qwen_infer::tune
