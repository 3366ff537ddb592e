#include "end_to_end/result.h"

#include <gtest/gtest.h>

namespace qwen_infer::end_to_end_bench {
namespace {

constexpr Workload kTest = {.kind = Kind::kRead, .tokens = 100, .depth = 50};

TEST(EndToEndResultTest, ComparesWithTheBetterWayOfLlamaCpp) {
  const Row row = Evaluate(kTest, {{{4, 4}, {2, 5}, {1, 2}}}, 2);
  EXPECT_EQ(row.best_stock, Way::kStockProducts);  // medians of 50 and 20, against 25
  EXPECT_DOUBLE_EQ(row.speed_up.median, 2.25);     // round by round: 2 and 2.5
  EXPECT_DOUBLE_EQ(row.speed_up.min, 2);
  EXPECT_DOUBLE_EQ(row.speed_up.max, 2.5);
  EXPECT_EQ(row.rates[IndexOf(Way::kTopK)], (std::vector<double>{100, 50}));
}

TEST(EndToEndResultTest, DoesWithoutTheWayThatTheModelDoesNotHave) {
  const Seconds seconds = {{{4}, {}, {1}}};
  EXPECT_EQ(FinishedRounds(seconds), 1U);
  const Row row = Evaluate(kTest, seconds, 1);
  EXPECT_EQ(row.best_stock, Way::kStockFlash);
  EXPECT_DOUBLE_EQ(row.speed_up.median, 4);
}

TEST(EndToEndResultTest, OnlyFinishedRoundsCount) {
  EXPECT_EQ(FinishedRounds({}), 0U);
  EXPECT_EQ(FinishedRounds({{{4}, {}, {}}}), 0U);
  const Seconds seconds = {{{4, 8}, {9, 9}, {1}}};
  EXPECT_EQ(FinishedRounds(seconds), 1U);
  const Row row = Evaluate(kTest, seconds, 1);
  EXPECT_EQ(row.rates[IndexOf(Way::kStockFlash)].size(), 1U);
  EXPECT_DOUBLE_EQ(row.speed_up.median, 4);
}

TEST(EndToEndResultTest, TestsAreNamedAsLlamaBenchDoes) {
  EXPECT_EQ(kTest.Name(), "pp100 @ d50");
  EXPECT_EQ((Workload{.kind = Kind::kGenerate, .tokens = 32, .depth = 0}).Name(), "tg32 @ d0");
}

}  // namespace
}  // namespace qwen_infer::end_to_end_bench
