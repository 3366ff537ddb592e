#include "chat_summary.h"

#include <gtest/gtest.h>

namespace qwen_infer {
namespace {

TEST(ChatSummaryTest, TheBudgetIsTheFirstOfTheSettings) {
  EXPECT_EQ(BudgetIn("k=256,temperature=1,sinks=0"), "k=256");
  EXPECT_EQ(BudgetIn("k=8"), "k=8");
}

TEST(ChatSummaryTest, TellsWhatTopKAttentionKept) {
  LayerStatistics total = {.layer = kUnknownLayer, .calls = 120, .fallback_calls = 34, .sums = {}};
  EXPECT_EQ(AttentionSummary(total), "top-k attention: nothing was computed yet");
  total.sums.keys_seen = 4000;
  total.sums.keys_kept = 1000;
  EXPECT_EQ(AttentionSummary(total),
            "top-k attention: 1,000 of 4,000 keys kept (25.0 %), mean mass not measured, 3,000 scores saved; 34 of 120 "
            "calls ran full");
  total.sums.mass_rows = 2;
  total.sums.mass_sum = 1.8;
  EXPECT_NE(AttentionSummary(total).find("mean mass 0.9000"), std::string::npos);
}

TEST(ChatSummaryTest, TellsTheSpeedWhereTimeWasTaken) {
  EXPECT_EQ(SpeedSummary({}), "last answer: none yet");
  EXPECT_EQ(SpeedSummary({.prompt_tokens = 1234,
                          .cached_tokens = 34,
                          .prompt_seconds = 6,
                          .generated_tokens = 20,
                          .generation_seconds = 0.5}),
            "last answer: 20 tokens at 40.0/s, after 1,200 read at 200.0/s; 34 more were in the cache");
  EXPECT_EQ(SpeedSummary({.prompt_tokens = 10, .cached_tokens = 9}),
            "last answer: 0 tokens, after 1 read; 9 more were in the cache");
}

}  // namespace
}  // namespace qwen_infer
