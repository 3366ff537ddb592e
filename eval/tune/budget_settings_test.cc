#include "eval/tune/budget_settings.h"

#include <gtest/gtest.h>

#include "settings.h"

namespace qwen_infer::tune {
namespace {

TEST(TuneBudgetSettingsTest, LayersThatAreAlikeShareAnItem) {
  EXPECT_EQ(SettingsOf({200, 128, 96, 96, 128, 96}, 128), "k=128,k@0=200,k@2-3=96,k@5=96");
  EXPECT_EQ(SettingsOf({128, 128}, 128), "k=128");
}

TEST(TuneBudgetSettingsTest, EveryLayerGetsItsBudgetBack) {
  const Budgets budgets = {16, 16, 1024, 20, 24, 24};
  Settings settings;
  ASSERT_TRUE(ParseSettings(SettingsOf(budgets, 24), settings).ok());
  for (size_t layer = 0; layer < budgets.size(); ++layer) {
    EXPECT_EQ(settings.ForLayer(static_cast<int>(layer), 1 << 20).k, budgets[layer]) << layer;
  }
}

}  // namespace
}  // namespace qwen_infer::tune
