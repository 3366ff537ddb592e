#include "end_to_end/cost.h"

#include <gtest/gtest.h>

namespace qwen_infer::end_to_end_bench {
namespace {

TEST(EndToEndCostTest, TopKCostsLessThanFullAttentionAndGeneratingMoreThanReading) {
  const Workload reading = {.kind = Kind::kRead, .tokens = 512, .depth = 32768};
  const Workload generating = {.kind = Kind::kGenerate, .tokens = 512, .depth = 32768};
  EXPECT_GT(Cost(Way::kStockFlash, reading), Cost(Way::kTopK, reading));
  EXPECT_GT(Cost(Way::kTopK, generating), Cost(Way::kTopK, reading));
}

}  // namespace
}  // namespace qwen_infer::end_to_end_bench
