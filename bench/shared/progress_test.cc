#include "shared/progress.h"

#include <gtest/gtest.h>

namespace qwen_infer {
namespace {

TEST(ProgressTest, EstimatesTheRestFromThePartsDone) {
  Progress progress(100);
  EXPECT_EQ(progress.Text(5), "");
  progress.Add(10);
  progress.Add(15);
  EXPECT_EQ(progress.Text(30), "25 %, about 90 s left");
  EXPECT_EQ(progress.Text(100), "25 %, about 5 min left");
  progress.Add(75);
  EXPECT_EQ(progress.Text(100), "100 %, about 0 s left");
}

TEST(ProgressTest, ContextCostsFullAttentionMost) {
  EXPECT_GT(ReadingCost(512, 32768, kFullAttentionDoubling), ReadingCost(512, 32768, kTopKDoubling));
  EXPECT_GT(ReadingCost(512, 32768, kTopKDoubling), ReadingCost(512, 0, kTopKDoubling));
}

}  // namespace
}  // namespace qwen_infer
