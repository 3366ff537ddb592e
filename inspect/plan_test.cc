#include "plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qwen_infer::inspect {
namespace {

// Qwen2.5-0.5B reading a document.
constexpr PageShape kDocument = {.n_layer = 24, .n_head = 14, .n_token = 8192};

Options With(int64_t max_megabytes) {
  Options options;
  options.html = "page.html";
  options.max_megabytes = max_megabytes;
  return options;
}

Plan Made(const Options& options, const PageShape& shape) {
  Plan plan;
  const topk::Status status = MakePlan(options, shape, plan);
  EXPECT_TRUE(status.ok()) << status.message();
  return plan;
}

std::string Refusal(const Options& options, const PageShape& shape) {
  Plan plan;
  return MakePlan(options, shape, plan).message();
}

TEST(PlanTest, AShortTextHasAllLayersAndSixteenWeights) {
  const Plan plan = Made(With(128), {.n_layer = 24, .n_head = 14, .n_token = 500});
  EXPECT_EQ(plan.layers.size(), 24U);
  EXPECT_EQ(plan.strongest, 16);
}

TEST(PlanTest, ADocumentOfEightThousandTokensHasAllLayersAndEightWeights) {
  const Plan plan = Made(With(128), kDocument);
  EXPECT_EQ(plan.layers.size(), 24U);
  EXPECT_EQ(plan.strongest, 8);
  EXPECT_LE(PageBytes(kDocument, 24, 8), 128'000'000);
}

TEST(PlanTest, LayersThatDoNotFitAreLeftOutEvenly) {
  const Plan plan = Made(With(16), kDocument);
  EXPECT_EQ(plan.strongest, 4);
  EXPECT_EQ(plan.layers, (std::vector<int>{0, 5, 9, 14, 18, 23}));
  EXPECT_LE(PageBytes(kDocument, 6, 4), 16'000'000);
  EXPECT_GT(PageBytes(kDocument, 7, 4), 16'000'000);
}

TEST(PlanTest, NamedLayersAreTakenOnceInOrder) {
  Options options = With(128);
  options.layers = {{9, 11}, {3, 3}, {10, 10}};
  options.strongest = 50;
  const Plan plan = Made(options, kDocument);
  EXPECT_EQ(plan.layers, (std::vector<int>{3, 9, 10, 11}));
  EXPECT_EQ(plan.strongest, 50);
}

TEST(PlanTest, WhatDoesNotFitIsRefusedWithTheRemedy) {
  Options options = With(16);
  options.layers = {{0, 23}};
  EXPECT_NE(Refusal(options, kDocument).find("name fewer --layers (6 fit), or raise --max_size from 16"),
            std::string::npos)
      << Refusal(options, kDocument);
  options.layers = {{20, 24}};
  EXPECT_EQ(Refusal(options, kDocument), "--layers: there is no layer 24, the model has 24, from 0 on");
  EXPECT_NE(Refusal(With(1), kDocument).find("shorten the text"), std::string::npos);
}

TEST(PlanTest, FiguresWithoutAPageHaveAllLayers) {
  Options options = With(1);
  options.html.clear();
  EXPECT_EQ(Made(options, kDocument).layers.size(), 24U);
  options.layers = {{3, 9}};
  EXPECT_EQ(Made(options, kDocument).layers.size(), 7U);
}

TEST(PlanTest, TwoSettingsShareTheRoom) {
  PageShape two = kDocument;
  two.n_setting = 2;
  EXPECT_EQ(PageBytes(two, 24, 8), 2 * PageBytes(kDocument, 24, 8));
}

}  // namespace
}  // namespace qwen_infer::inspect
