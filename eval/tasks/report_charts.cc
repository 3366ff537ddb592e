#include <limits>

#include "eval/chart.h"
#include "eval/tasks/report.h"
#include "eval/window_scores.h"
#include "shared/fixed.h"

namespace qwen_infer::tasks {

namespace {

constexpr double kPercent = 100;

// A tick for each task, and half a step at both ends.
std::vector<eval::Tick> TaskTicks(const Report& report) {
  std::vector<eval::Tick> ticks = {{-0.5, ""}};
  for (const TaskSummary& task : report.tasks) {
    ticks.push_back({static_cast<double>(ticks.size() - 1), task.name});
  }
  ticks.push_back({static_cast<double>(report.tasks.size()) - 0.5, ""});
  return ticks;
}

// Where the way-th of `count` stands beside a tick: so that none hides another.
double Aside(size_t way, size_t count) {
  constexpr double kWidth = 0.5;
  return kWidth * ((static_cast<double>(way) + 0.5) / static_cast<double>(count) - 0.5);
}

}  // namespace

std::string ScoreChart(const Report& report) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  eval::Chart chart{
      .title = "Scores by task", .x_label = "", .y_label = "score, %", .x_ticks = TaskTicks(report), .series = {}};
  for (size_t way = 0; way < report.run.ways.size(); ++way) {
    const std::string& name = report.run.ways[way].name;
    eval::Series& series = chart.series.emplace_back(eval::Series{.name = name, .is_joined = false, .points = {}});
    for (size_t task = 0; task < report.tasks.size(); ++task) {
      const double score = kPercent * report.tasks[task].ways[way].score;
      series.points.push_back({.x = static_cast<double>(task) + Aside(way, report.run.ways.size()),
                               .y = score,
                               .low = kNone,
                               .high = kNone,
                               .note = report.tasks[task].name + ", " + name + ": " + Fixed(score, 1) + " %"});
    }
  }
  return Svg(chart);
}

std::string DifferenceChart(const Report& report) {
  eval::Chart chart{.title = "Difference from full attention by task, 95 % intervals",
                    .x_label = "",
                    .y_label = "difference of the score, points",
                    .x_ticks = TaskTicks(report),
                    .series = {}};
  const size_t n_setting = report.run.ways.size() - 1;
  for (size_t way = eval::kFullAttention + 1; way <= n_setting; ++way) {
    const std::string& name = report.run.ways[way].name;
    eval::Series& series = chart.series.emplace_back(eval::Series{.name = name, .is_joined = false, .points = {}});
    for (size_t task = 0; task < report.tasks.size(); ++task) {
      for (const Comparison& comparison : report.tasks[task].comparisons) {
        if (comparison.way != way || comparison.against != eval::kFullAttention) continue;
        const eval::Estimate& difference = comparison.difference;
        series.points.push_back(
            {.x = static_cast<double>(task) + Aside(way - 1, n_setting),
             .y = kPercent * difference.mean,
             .low = kPercent * difference.low,
             .high = kPercent * difference.high,
             .note = report.tasks[task].name + ", " + name + ": " + Fixed(kPercent * difference.mean, 1) + " points"});
      }
    }
  }
  return Svg(chart);
}

}  // namespace qwen_infer::tasks
