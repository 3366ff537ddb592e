#include "token_score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace qwen_infer::eval {
namespace {

using Logits = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(TokenScoreTest, LikelihoodIsThatOfTheSoftmax) {
  const Logits logits = {1, 2, 3};
  const double z = std::exp(1) + std::exp(2) + std::exp(3);
  for (int token = 0; token < 3; ++token) {
    EXPECT_NEAR(ScoreOf(Prediction(logits), token).nll, -std::log(std::exp(token + 1) / z), 1e-6);
  }
}

TEST(TokenScoreTest, DivergenceIsThatOfItsDefinition) {
  const Logits full = {0, std::log(2.0F), std::log(5.0F)};   // 1/8, 2/8, 5/8
  const Logits other = {std::log(2.0F), std::log(2.0F), 0};  // 2/5, 2/5, 1/5
  const double expected =
      1 / 8.0 * std::log(1 / 8.0 / 0.4) + 2 / 8.0 * std::log(2 / 8.0 / 0.4) + 5 / 8.0 * std::log(5 / 8.0 / 0.2);
  const TokenScore score = ScoreOf(Prediction(full), other, 1);
  EXPECT_NEAR(score.kl, expected, 1e-6);
  EXPECT_NEAR(score.nll, -std::log(0.4), 1e-6);
  EXPECT_FALSE(score.agrees);
}

TEST(TokenScoreTest, EqualLogitsDoNotDivergeAtAll) {
  const Logits logits = {-3.25F, 17.5F, 17.25F, 0.125F};
  EXPECT_EQ(ScoreOf(Prediction(logits), logits, 0).kl, 0);
}

TEST(TokenScoreTest, AConstantAddedToAllLogitsChangesNothing) {
  const Logits full = {1, 2, 3, 4};
  const Logits other = {90001, 90002, 90003, 90004};
  const TokenScore score = ScoreOf(Prediction(full), other, 2);
  EXPECT_NEAR(score.kl, 0, 1e-6);
  EXPECT_NEAR(score.nll, ScoreOf(Prediction(full), 2).nll, 1e-6);
  EXPECT_TRUE(score.agrees);
}

TEST(TokenScoreTest, LogitsBeyondTheRangeOfExpAreFine) {
  const Logits full = {500, -500, 0};
  const Logits other = {-500, 500, 0};
  const TokenScore score = ScoreOf(Prediction(full), other, 0);
  EXPECT_FLOAT_EQ(score.nll, 1000);
  EXPECT_FLOAT_EQ(score.kl, 1000);
}

TEST(TokenScoreTest, TokensThatAreImpossibleInBothDoNotCount) {
  const Logits full = {1, -kInfinity, 2};
  const Logits other = {2, -kInfinity, 1};
  const Logits full_without = {1, 2};
  const Logits other_without = {2, 1};
  EXPECT_FLOAT_EQ(ScoreOf(Prediction(full), other, 0).kl, ScoreOf(Prediction(full_without), other_without, 0).kl);
}

TEST(TokenScoreTest, WhatIsNoNumberStaysNone) {
  const Logits full = {1, 2};
  const Logits broken = {1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_TRUE(std::isnan(ScoreOf(Prediction(full), broken, 0).nll));
  EXPECT_TRUE(std::isnan(ScoreOf(Prediction(full), broken, 0).kl));
}

TEST(TokenScoreTest, OfEquallyLikelyTokensTheFirstCounts) {
  const Logits full = {5, 5, 1};
  EXPECT_TRUE(ScoreOf(Prediction(full), Logits{5, 4, 1}, 0).agrees);
  EXPECT_FALSE(ScoreOf(Prediction(full), Logits{4, 5, 1}, 0).agrees);
}

}  // namespace
}  // namespace qwen_infer::eval
