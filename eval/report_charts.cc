#include <algorithm>
#include <cmath>

#include "cells.h"
#include "chart.h"
#include "report.h"
#include "shared/fixed.h"

namespace qwen_infer::eval {

namespace {

constexpr double kPercent = 100;
constexpr const char* kChange = "change of perplexity, %";

Point PointOf(double x, const Estimate& change, const std::string& label, const std::string& what) {
  return {.x = x,
          .y = change.mean,
          .low = change.low,
          .high = change.high,
          .label = label,
          .note = what + ": " + Fixed(change.mean, 2) + " %" +
                  (change.HasInterval() ? " (" + Fixed(change.low, 2) + " to " + Fixed(change.high, 2) + ")" : "")};
}

// Shares are drawn by their logarithm: 100 %, 50 %, 25 %, ... down to the first that is at or below the least share.
std::vector<Tick> ShareTicks(double least) {
  std::vector<Tick> ticks;
  for (double share = 1; ticks.size() < 2 || 2 * share > least; share /= 2) {
    ticks.push_back({std::log2(share), Fixed(kPercent * share, share < 0.1 ? 1 : 0) + " %"});
  }
  std::reverse(ticks.begin(), ticks.end());
  return ticks;
}

}  // namespace

std::string KeptShareChart(const Report& report) {
  Series settings{.name = "", .is_joined = false, .points = {}};
  double least = 1;
  for (size_t way = kFullAttention + 1; way < report.run.ways.size(); ++way) {
    const double share = report.summary.ways[way].attention.KeptShare();
    least = std::min(least, share);
    const std::string& name = report.run.ways[way].name;
    settings.points.push_back(PointOf(std::log2(share), report.summary.ways[way].scored.change, name, name));
  }
  return Svg({.title = "Quality against the share of keys that is kept",
              .x_label = "kept share of the visible keys",
              .y_label = kChange,
              .x_ticks = ShareTicks(least),
              .series = {settings}});
}

std::string PositionChart(const Report& report) {
  const std::vector<Quality>& ranges = report.summary.ways.front().by_position;
  Chart chart{.title = "Quality by position",
              .x_label = "tokens before the predicted one",
              .y_label = kChange,
              .x_ticks = {},
              .series = {}};
  // A range is drawn at its number; half a step is left at both ends.
  chart.x_ticks.push_back({-0.5, ""});
  for (size_t i = 0; i < ranges.size(); ++i) {
    chart.x_ticks.push_back({static_cast<double>(i), NameOf(ranges[i].positions)});
  }
  chart.x_ticks.push_back({static_cast<double>(ranges.size()) - 0.5, ""});
  const auto n_setting = static_cast<double>(report.run.ways.size() - 1);
  for (size_t way = kFullAttention + 1; way < report.run.ways.size(); ++way) {
    // Side by side, so that no error bar hides another.
    const double aside = 0.3 * ((static_cast<double>(way) - 0.5) / n_setting - 0.5);
    const std::string& name = report.run.ways[way].name;
    Series& series = chart.series.emplace_back(Series{.name = name, .points = {}});
    for (size_t i = 0; i < ranges.size(); ++i) {
      series.points.push_back(PointOf(static_cast<double>(i) + aside, report.summary.ways[way].by_position[i].change,
                                      "", name + ", " + NameOf(ranges[i].positions)));
    }
  }
  return Svg(chart);
}

}  // namespace qwen_infer::eval
