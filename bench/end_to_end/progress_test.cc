#include "end_to_end/progress.h"

#include <gtest/gtest.h>

namespace qwen_infer::end_to_end_bench {
namespace {

TEST(EndToEndProgressTest, EstimatesTheRestFromThePartsDone) {
  Progress progress(100);
  EXPECT_EQ(progress.Text(5), "");
  progress.Add(10);
  progress.Add(15);
  EXPECT_EQ(progress.Text(30), "25 %, about 90 s left");
  EXPECT_EQ(progress.Text(100), "25 %, about 5 min left");
  progress.Add(75);
  EXPECT_EQ(progress.Text(100), "100 %, about 0 s left");
}

TEST(EndToEndProgressTest, ContextCostsFullAttentionMost) {
  const Workload shallow = {.kind = Kind::kRead, .tokens = 512, .depth = 0};
  const Workload deep = {.kind = Kind::kRead, .tokens = 512, .depth = 32768};
  EXPECT_GT(Cost(Way::kStockFlash, deep), Cost(Way::kTopK, deep));
  EXPECT_GT(Cost(Way::kTopK, deep), Cost(Way::kTopK, shallow));
}

}  // namespace
}  // namespace qwen_infer::end_to_end_bench
