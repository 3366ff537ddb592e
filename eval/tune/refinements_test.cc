#include "eval/tune/refinements.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ggml/settings.h"

namespace qwen_infer::tune {
namespace {

// Of three layers the middle one loses the most, and the last the least.
std::vector<Curve> ThreeCurves() {
  std::vector<Curve> curves;
  for (const double factor : {2.0, 4.0, 1.0}) {
    curves.emplace_back(std::vector<CurvePoint>{{16, 0.08 * factor, 0.5}, {64, 0.01 * factor, 0.7}, {256, 0.001, 0.9}});
  }
  return curves;
}

const RefinedWay* Find(const std::vector<RefinedWay>& ways, const Refinement& refinement) {
  const auto found =
      std::find_if(ways.begin(), ways.end(), [&](const RefinedWay& way) { return way.refinement == refinement; });
  return found == ways.end() ? nullptr : &*found;
}

topk::TopKOptions OfLayer(const RefinedWay& way, int layer) {
  return SettingFor("", way.settings).settings.ForLayer(layer, 4096);
}

TEST(TuneRefinementsTest, TheBaseComesFirstAsItIs) {
  const std::vector<Curve> curves = ThreeCurves();
  const std::vector<RefinedWay> ways = RefinedWays({"k=128,k@1=200", curves, {92, 200, 92}, {}, 500});
  EXPECT_EQ(ways.front().refinement, Refinement());
  EXPECT_EQ(ways.front().settings, "k=128,k@1=200");
}

TEST(TuneRefinementsTest, OtherLayersPayForFullAttentionInTheOnesThatLoseTheMost) {
  const std::vector<Curve> curves = ThreeCurves();
  const std::vector<RefinedWay> ways = RefinedWays({"k=128", curves, {128, 128, 128}, {}, 300});
  const RefinedWay* one = Find(ways, {.dense_layers = 1});
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(OfLayer(*one, 1).k, 1 << 30);
  EXPECT_LE(300 + OfLayer(*one, 0).k + OfLayer(*one, 2).k, 3 * 128);
  EXPECT_GT(300 + OfLayer(*one, 0).k + OfLayer(*one, 2).k, 3 * 120);
  EXPECT_EQ(Find(ways, {.dense_layers = 2}), nullptr) << "two of 300 keys leave none for the third";
}

TEST(TuneRefinementsTest, SinksAreKeptInThePlaceOfOthers) {
  const std::vector<Curve> curves = ThreeCurves();
  const std::vector<RefinedWay> ways = RefinedWays({"k=128", curves, {128, 128, 128}, {}, 4000});
  const RefinedWay* way = Find(ways, {.sinks = 4, .temperature = 0.95});
  ASSERT_NE(way, nullptr);
  int64_t kept = 0;
  for (const int layer : {0, 1, 2}) {
    kept += OfLayer(*way, layer).k + OfLayer(*way, layer).sinks;
    EXPECT_FLOAT_EQ(OfLayer(*way, layer).temperature, 0.95F);
  }
  EXPECT_LE(kept, 3 * 128);
}

TEST(TuneRefinementsTest, AMassTargetGivesWayToALowerOne) {
  const std::vector<Curve> curves = ThreeCurves();
  const std::vector<Tried> targets = {
      {"k=8,min_mass=0.9", 0.1, 126}, {"k=8,min_mass=0.8", 0.2, 80}, {"k=8,min_mass=0.7", 0.3, 60}};
  const std::vector<RefinedWay> ways = RefinedWays({targets[0].settings, curves, {128, 128, 128}, targets, 220});
  EXPECT_EQ(Find(ways, {.sinks = 4})->settings, "k=8,min_mass=0.8,sinks=4");
  const RefinedWay* dense = Find(ways, {.dense_layers = 1});  // leaves (3 * 128 - 220) / 2 = 82 keys
  ASSERT_NE(dense, nullptr);
  EXPECT_EQ(OfLayer(*dense, 1).k, 1 << 30);
  EXPECT_EQ(OfLayer(*dense, 1).min_mass, 0);
  EXPECT_FLOAT_EQ(OfLayer(*dense, 0).min_mass, 0.8F);
  EXPECT_EQ(Find(ways, {.dense_layers = 2}), nullptr);
}

// Three ways: as it was, with sinks, with another temperature; and both.
const std::vector<RefinedWay> kWays = {{{}, "plain"},
                                       {{.sinks = 4}, "sinks"},
                                       {{.temperature = 0.95}, "temperature"},
                                       {{.sinks = 4, .temperature = 0.95}, "both"}};

// The intervals are so wide to each side.
size_t BestWith(const std::vector<Tried>& tried, double width) {
  return BestRefined(kWays, tried, 128, [&](size_t a, size_t b) {
    const double mean = tried[a].kl - tried[b].kl;
    return eval::Estimate{mean, mean - width, mean + width};
  });
}

TEST(TuneRefinementsTest, EachKindStaysOnlyIfItMeasurablyHelps) {
  EXPECT_EQ(BestWith({{"", 0.5, 128}, {"", 0.4, 128}, {"", 0.6, 128}, {"", 0.3, 128}}, 0.05), 3U);
  EXPECT_EQ(BestWith({{"", 0.5, 128}, {"", 0.4, 128}, {"", 0.6, 128}, {"", 0.38, 128}}, 0.05), 1U);
  EXPECT_EQ(BestWith({{"", 0.5, 128}, {"", 0.48, 128}, {"", 0.3, 128}, {"", 0.1, 128}}, 0.05), 2U)
      << "both were better, but sinks alone show nothing";
  EXPECT_EQ(BestWith({{"", 0.5, 128}, {"", 0.48, 128}, {"", 0.49, 128}, {"", 0.47, 128}}, 0.05), 0U);
}

TEST(TuneRefinementsTest, NoneMayCostKeys) {
  EXPECT_EQ(BestWith({{"", 0.5, 128}, {"", 0.1, 129}, {"", 0.4, 127}, {"", 0.1, 129}}, 0.05), 2U);
}

}  // namespace
}  // namespace qwen_infer::tune
