#include "chart.h"

#include <gtest/gtest.h>

#include <regex>

namespace qwen_infer::eval {
namespace {

Chart Example() {
  return {.title = "a < b",
          .x_label = "x",
          .y_label = "y",
          .x_ticks = {{0, "none"}, {10, "ten"}},
          .series = {{.name = "one", .points = {{0, 0, 0, 0, "", "first"}, {5, 2, 1, 3, "mid", "second"}}},
                     {.name = "", .is_joined = false, .points = {{10, -1, -1, -1, "", ""}}}}};
}

// The y of all points.
std::vector<double> Heights(const std::string& svg) {
  std::vector<double> heights;
  const std::regex circle("<circle cx=\"[0-9.]+\" cy=\"([0-9.]+)\" r=\"4\"><title>");
  for (std::sregex_iterator match(svg.begin(), svg.end(), circle), end; match != end; ++match) {
    heights.push_back(std::stod((*match)[1]));
  }
  return heights;
}

TEST(ChartTest, HigherValuesAreHigherUpInEqualSteps) {
  const std::vector<double> heights = Heights(Svg(Example()));
  ASSERT_EQ(heights.size(), 3U);
  EXPECT_LT(heights[1], heights[0]);
  EXPECT_LT(heights[0], heights[2]);
  EXPECT_NEAR((heights[0] - heights[1]) / 2, heights[2] - heights[0], 0.2);
}

TEST(ChartTest, OnlyJoinedSeriesHaveALineAndOnlyNamedOnesALegend) {
  const std::string svg = Svg(Example());
  EXPECT_EQ(svg.find("<path"), svg.rfind("<path"));
  EXPECT_NE(svg.find(">one</text>"), std::string::npos);
  EXPECT_NE(svg.find(">mid</text>"), std::string::npos);
}

TEST(ChartTest, TextIsEscaped) {
  const std::string svg = Svg(Example());
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_EQ(svg.find("a < b"), std::string::npos);
}

TEST(ChartTest, TicksAreRoundAndEnclose) {
  EXPECT_EQ(RoundTicks(0, 5.2, 7), (std::vector<double>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(RoundTicks(-30, 100, 7), (std::vector<double>{-40, -20, 0, 20, 40, 60, 80, 100}));
  EXPECT_GE(RoundTicks(0, 0, 7).size(), 2U);
  const std::vector<double> small = RoundTicks(-0.0004, 0.0011, 7);
  EXPECT_LE(small.front(), -0.0004);
  EXPECT_GE(small.back(), 0.0011);
  EXPECT_LE(small.size(), 9U);
}

}  // namespace
}  // namespace qwen_infer::eval
