#include "attention/calibrate.h"

#include <gtest/gtest.h>

#include "attention/measure.h"
#include "shared/interrupted.h"

namespace qwen_infer::attention_bench {
namespace {

TEST(FindCrossover, IsWhereTopKStartsToWin) {
  EXPECT_EQ(FindCrossover({{100, 1.5}, {200, 1.1}, {300, 0.9}, {400, 0.5}}), 300);
  EXPECT_EQ(FindCrossover({{100, 0.9}, {200, 0.8}}), 100);
}

TEST(FindCrossover, IsBeyondAllTrialsIfTopKNeverWins) { EXPECT_EQ(FindCrossover({{100, 1.5}, {200, 1.0}}), 400); }

TEST(FindCrossover, OneNoisyTrialDoesNotDecide) {
  EXPECT_EQ(FindCrossover({{100, 1.5}, {200, 0.9}, {300, 1.05}, {400, 0.5}}), 200);
  EXPECT_EQ(FindCrossover({{100, 1.5}, {200, 0.98}, {300, 1.2}, {400, 0.5}}), 400);
  EXPECT_EQ(FindCrossover({{100, 1.5}, {200, 0.6}, {300, 0.5}, {400, 1.1}}), 200);
}

TEST(MeasureCrossovers, EndsWhenAskedTo) {
  const std::atomic<bool> stop = true;
  EXPECT_THROW(MeasureCrossovers(1, stop, [](std::string_view) {}), Interrupted);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
