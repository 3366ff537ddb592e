#include "eval/tune/probes.h"

#include <gtest/gtest.h>

namespace qwen_infer::tune {
namespace {

TEST(TuneProbesTest, EachChangesOneLayerAndMeasuresItsMass) {
  const std::vector<eval::Setting> probes = Probes(3);
  ASSERT_EQ(probes.size(), 3 * kProbedBudgets.size());
  const Settings& settings = probes[kProbedBudgets.size() + 1].settings;  // of layer 1
  constexpr int64_t kWindow = 1 << 20;
  for (const int other : {0, 2}) {
    EXPECT_GE(settings.ForLayer(other, kWindow).k, kWindow);
    EXPECT_EQ(settings.ForLayer(other, kWindow).mass, topk::MassMode::kOff);
  }
  EXPECT_EQ(settings.ForLayer(1, kWindow).k, kProbedBudgets[1]);
  EXPECT_EQ(settings.ForLayer(1, kWindow).mass, topk::MassMode::kExact);
  EXPECT_EQ(settings.ForLayer(1, kWindow).crossover, 0);
}

TEST(TuneProbesTest, CurvesAreMeansOverAllTokensOfAllWindows) {
  std::vector<eval::WindowScores> windows(2, eval::WindowScores(1 + 2 * kProbedBudgets.size()));
  for (eval::WindowScores& window : windows) {
    for (eval::WayScores& way : window) {
      way.kl = {0.5F, 0.5F};
      way.attention = {.rows = 4, .mass_rows = 2, .mass_sum = 1};
    }
  }
  // Layer 1 with the last budget.
  windows[0].back().kl = {0.1F, 0.2F};
  windows[1].back().kl = {0.3F};
  windows[1].back().attention.mass_sum = 2;
  const std::vector<Curve> curves = CurvesOf(windows, 2);
  ASSERT_EQ(curves.size(), 2U);
  EXPECT_NEAR(curves[1].points().back().kl, 0.2, 1e-6);
  EXPECT_NEAR(curves[1].points().back().mass, 0.75, 1e-12);
  EXPECT_EQ(curves[1].points().back().k, kProbedBudgets.back());
  EXPECT_NEAR(curves[0].points().back().kl, 0.5, 1e-6);
}

}  // namespace
}  // namespace qwen_infer::tune
