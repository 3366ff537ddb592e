#include "summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace qwen_infer::eval {
namespace {

constexpr int64_t kWindow = 1000;

// Windows whose likelihoods vary a lot from token to token. From position 512 on the first setting is worse by `worse`
// nats for each token, the second better by as much, with a little noise.
std::vector<WindowScores> Windows(float worse) {
  std::mt19937 random(5);
  std::normal_distribution<float> noise(0, 0.02F);
  std::uniform_real_distribution<float> uniform(0, 6);
  std::vector<WindowScores> windows(3, WindowScores(3));
  for (WindowScores& window : windows) {
    for (int64_t position = 1; position < kWindow; ++position) {
      const float nll = uniform(random);
      const bool is_late = position >= 512;
      window[0].nll.push_back(nll);
      window[1].nll.push_back(nll + (is_late ? worse + noise(random) : 0));
      window[2].nll.push_back(nll - (is_late ? worse + noise(random) : 0));
      for (size_t way = 0; way < window.size(); ++way) {
        window[way].kl.push_back(way > 0 && is_late ? 0.1F : 0);
        window[way].agrees.push_back(way == 0 || position % 4 != 0 ? 1 : 0);
      }
    }
    window[0].seconds = 2;
    window[1].seconds = 1;
    window[1].attention = {
        .rows = 10, .keys_seen = 100, .keys_kept = 20, .mass_rows = 5, .mass_sum = 4, .mass_min = 0.7};
  }
  return windows;
}

TEST(SummaryTest, PairingFindsASmallChangeInNoisyLikelihoods) {
  const Summary summary = Summarize(Windows(0.01F), {512, kWindow}, 1);
  const Quality& worse = summary.ways[1].scored;
  EXPECT_EQ(worse.tokens, 3 * (kWindow - 512));
  EXPECT_NEAR(worse.change.mean, 1, 0.2);
  EXPECT_GT(worse.change.low, 0.7);
  EXPECT_LT(worse.change.high, 1.3);
  EXPECT_NEAR(worse.perplexity / summary.ways[0].scored.perplexity, 1 + worse.change.mean / 100, 1e-6);
  EXPECT_LT(summary.ways[2].scored.change.high, 0);
}

TEST(SummaryTest, FullAttentionDiffersFromItselfInNothing) {
  const Quality full = Summarize(Windows(0.01F), {512, kWindow}, 1).ways[0].scored;
  EXPECT_EQ(full.change.mean, 0);
  EXPECT_EQ(full.change.high, 0);
  EXPECT_EQ(full.kl.mean, 0);
  EXPECT_EQ(full.agreement.mean, 1);
}

TEST(SummaryTest, OnlyTheRangeOfPositionsThatChangedShowsIt) {
  const WaySummary worse = Summarize(Windows(0.5F), {512, kWindow}, 1).ways[1];
  ASSERT_EQ(worse.by_position.size(), 3U);
  EXPECT_EQ(worse.by_position[1].positions, (Positions{256, 512}));
  EXPECT_EQ(worse.by_position[1].change.mean, 0);
  EXPECT_EQ(worse.by_position[1].kl_p99, 0);
  EXPECT_GT(worse.by_position[2].change.low, 50);
  EXPECT_FLOAT_EQ(static_cast<float>(worse.by_position[2].kl_p99), 0.1F);
  EXPECT_FLOAT_EQ(static_cast<float>(worse.by_position[2].kl.mean), 0.1F);
}

TEST(SummaryTest, SettingsAreComparedWithEachOther) {
  const Summary summary = Summarize(Windows(0.01F), {512, kWindow}, 1);
  ASSERT_EQ(summary.differences.size(), 1U);
  EXPECT_EQ(summary.differences[0].way, 2U);
  EXPECT_EQ(summary.differences[0].against, 1U);
  EXPECT_NEAR(summary.differences[0].change.mean, -2, 0.3);
  EXPECT_LT(summary.differences[0].change.high, -1.5);
}

TEST(SummaryTest, TimesAndAttentionAddUpOverWindows) {
  const Summary summary = Summarize(Windows(0.01F), {512, kWindow}, 1);
  EXPECT_EQ(summary.windows, 3);
  EXPECT_EQ(summary.tokens_read, 3 * (kWindow - 1));
  EXPECT_EQ(summary.ways[0].seconds, 6);
  EXPECT_EQ(summary.ways[1].attention.keys_kept, 60);
  EXPECT_EQ(summary.ways[1].attention.mass_min, 0.7);
  EXPECT_NEAR(summary.ways[1].scored.agreement.mean, 0.75, 1e-9);
}

TEST(SummaryTest, The99thPercentileIsPassedByOneInAHundred) {
  std::vector<WindowScores> windows(1, WindowScores(1));
  for (int i = 1; i <= 200; ++i) {
    windows[0][0].nll.push_back(1);
    windows[0][0].kl.push_back(static_cast<float>(i));
    windows[0][0].agrees.push_back(1);
  }
  EXPECT_EQ(Summarize(windows, {1, 201}, 1).ways[0].scored.kl_p99, 198);
}

}  // namespace
}  // namespace qwen_infer::eval
