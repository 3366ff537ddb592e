#include "eval/tune/candidates.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qwen_infer::tune {
namespace {

TEST(TuneCandidatesTest, BeginWithTheFixedBudgetAndThatOfTheLayers) {
  const std::vector<std::string> layers = {"k=128,k@0=200"};
  const std::vector<eval::Setting> candidates = Candidates(128, layers, /*mass_targets=*/true);
  EXPECT_EQ(candidates[0].settings.ForLayer(0, 4096).k, 128);
  EXPECT_EQ(candidates[1].settings.ForLayer(0, 4096).k, 200);
  ASSERT_GT(candidates.size(), 2U);
  EXPECT_EQ(candidates[2].settings.options.k, 32);
  EXPECT_GT(candidates[2].settings.options.min_mass, 0.5);
  EXPECT_FALSE(candidates[2].settings.options.dense_beyond_max_k);
  EXPECT_EQ(Candidates(128, layers, /*mass_targets=*/false).size(), 2U);
}

TEST(TuneCandidatesTest, FiguresAreMeansOverTokensAndRows) {
  eval::WindowScores window(3);
  window[1] = {.kl = {0.1F, 0.3F}, .attention = {.rows = 10, .keys_kept = 80}};
  window[2] = {.kl = {0.4F, 0.4F}, .attention = {.rows = 10, .keys_kept = 70}};
  const std::vector<eval::Setting> candidates = {{.name = "a"}, {.name = "b"}};
  const std::vector<Tried> tried = TriedOf(candidates, std::vector<eval::WindowScores>(2, window));
  ASSERT_EQ(tried.size(), 2U);
  EXPECT_EQ(tried[1].settings, "b");
  EXPECT_NEAR(tried[0].kl, 0.2, 1e-6);
  EXPECT_NEAR(tried[0].keys_per_row, 8, 1e-12);
}

TEST(TuneCandidatesTest, TheBestIsTheNearestToFullAttentionThatKeepsNoMore) {
  const std::vector<Tried> tried = {{"fixed", 0.1, 128}, {"layers", 0.3, 127}, {"more", 0.1, 129}, {"best", 0.2, 128}};
  EXPECT_EQ(Best(tried).settings, "best");
  EXPECT_EQ(Best(std::vector<Tried>{{"fixed", 0.1, 128}, {"layers", 0.3, 129}, {"more", 0.1, 130}}).settings, "layers");
}

TEST(TuneCandidatesTest, TheFewestKeysAreThoseOfWhatDivergesNoMoreThanAllowed) {
  const std::vector<Tried> tried = {{"fixed", 0.3, 64}, {"much", 0.1, 300}, {"few", 0.2, 100}, {"other", 0.15, 120}};
  EXPECT_EQ(Fewest(tried, 0.2)->settings, "few");
  EXPECT_EQ(Fewest(tried, 0.12)->settings, "much");
  EXPECT_EQ(Fewest(tried, 0.05), nullptr);
}

}  // namespace
}  // namespace qwen_infer::tune
