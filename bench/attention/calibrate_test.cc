#include "attention/calibrate.h"

#include <gtest/gtest.h>

#include "shared/interrupted.h"

namespace qwen_infer::attention_bench {
namespace {

std::vector<Trial> Shares(const std::vector<std::pair<int64_t, double>>& shares) {
  std::vector<Trial> trials;
  for (const auto& [n_key, share] : shares) trials.push_back({.n_key = n_key, .share = share});
  return trials;
}

TEST(FindCrossover, IsWhereTopKStartsToWin) {
  EXPECT_EQ(FindCrossover(Shares({{100, 1.5}, {200, 1.1}, {300, 0.9}, {400, 0.5}})), 300);
  EXPECT_EQ(FindCrossover(Shares({{100, 0.9}, {200, 0.8}})), 100);
}

TEST(FindCrossover, IsBeyondAllTrialsIfTopKNeverWins) {
  EXPECT_EQ(FindCrossover(Shares({{100, 1.5}, {200, 1.0}})), 400);
}

TEST(FindCrossover, OneNoisyTrialDoesNotDecide) {
  EXPECT_EQ(FindCrossover(Shares({{100, 1.5}, {200, 0.9}, {300, 1.05}, {400, 0.5}})), 200);
  EXPECT_EQ(FindCrossover(Shares({{100, 1.5}, {200, 0.98}, {300, 1.2}, {400, 0.5}})), 400);
  EXPECT_EQ(FindCrossover(Shares({{100, 1.5}, {200, 0.6}, {300, 0.5}, {400, 1.1}})), 200);
}

// Attempts with these spreads, one after the other.
struct Attempts {
  std::vector<double> spreads;
  size_t n_made = 0;
  Trial Next() { return {.spread = spreads.at(n_made++)}; }
};

TEST(TrySteadily, RepeatsWhatIsNoisyAFewTimesAndKeepsTheSteadiest) {
  for (const auto& [spreads, n_made, kept] :
       {std::tuple(std::vector{1.1}, size_t{1}, 1.1), std::tuple(std::vector{1.5, 1.19}, size_t{2}, 1.19),
        std::tuple(std::vector{1.5, 1.3, 1.4}, size_t{3}, 1.3)}) {
    Attempts attempts{spreads};
    EXPECT_EQ(TrySteadily([&] { return attempts.Next(); }, [] { return true; }).spread, kept);
    EXPECT_EQ(attempts.n_made, n_made);
  }
}

TEST(TrySteadily, DoesNotRepeatWhenThereIsNoTimeLeft) {
  Attempts attempts{{1.5}};
  const Trial trial = TrySteadily([&] { return attempts.Next(); }, [] { return false; });
  EXPECT_TRUE(trial.IsNoisy());
}

TEST(Report, HasALineForEachTrialAndSaysWhichAreNoisy) {
  const std::vector<Trial> trials = {{.n_key = 512, .top_k = 30.04, .dense = 20, .llama = 25.5},
                                     {.n_key = 1024, .top_k = 31, .dense = 140, .llama = 151.6, .spread = 1.35}};
  EXPECT_EQ(Report("heads of 64, decode", trials, 1024),
            "heads of 64, decode, microseconds a call:\n"
            "        keys       top-k       dense   llama.cpp\n"
            "         512        30.0        20.0        25.5\n"
            "        1024        31.0         140         152  rounds differ by 35 %\n"
            "top-k from 1024 keys on, dense below");
}

TEST(Warnings, AreAboutWhatIsUsed) {
  const std::vector<Trial> trials = {
      {.n_key = 512, .llama = 25, .top_k_llama = 1.5, .dense_llama = 0.9},     // dense is used, and faster
      {.n_key = 1024, .llama = 40, .top_k_llama = 1.3, .dense_llama = 1.2},    // neither is
      {.n_key = 2048, .llama = 80, .top_k_llama = 1.04, .dense_llama = 1.2},   // about the same
      {.n_key = 4096, .llama = 160, .top_k_llama = 1.06, .dense_llama = 1.0},  // the wrong one is used
  };
  const std::vector<std::string> warnings = Warnings("prefill", trials, 2048);
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_EQ(warnings[0],
            "prefill, 1024 keys: both our ways are slower than llama.cpp's attention, which takes 40.0 us a call; what "
            "is used takes 1.20 times that");
  EXPECT_EQ(warnings[1].find("prefill, 4096 keys: top-k is slower than llama.cpp's attention"), 0U) << warnings[1];
}

TEST(Calibrate, EndsWhenAskedTo) {
  const std::atomic<bool> stop = true;
  EXPECT_THROW(Calibrate(1, stop, [](std::string_view) {}), Interrupted);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
