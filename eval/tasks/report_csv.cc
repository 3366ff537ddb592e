#include "eval/csv.h"
#include "eval/tasks/report.h"
#include "eval/window_scores.h"

namespace qwen_infer::tasks {

namespace {

// Against full attention; empty cells for full attention itself.
std::string ComparisonCells(const TaskSummary& task, size_t way) {
  for (const Comparison& comparison : task.comparisons) {
    if (comparison.way != way || comparison.against != eval::kFullAttention) continue;
    return CsvCells(comparison.difference) + "," + std::to_string(comparison.only_way) + "," +
           std::to_string(comparison.only_against) + "," + eval::CsvNumber(comparison.p_value);
  }
  return ",,,,,";
}

}  // namespace

std::string Csv(const Report& report) {
  std::string text =
      "task,attention,examples,prompt_tokens,score,correct,difference,difference_low,difference_high,only_setting,"
      "only_full,p_value,kept_share,mean_mass,min_mass,seconds\n";
  for (const TaskSummary& task : report.tasks) {
    for (size_t way = 0; way < task.ways.size(); ++way) {
      const WaySummary& summary = task.ways[way];
      text += task.name + "," + eval::CsvQuoted(report.run.ways[way].name) + "," + std::to_string(task.examples) + "," +
              eval::CsvNumber(task.prompt_tokens) + "," + eval::CsvNumber(summary.score) + "," +
              std::to_string(summary.correct) + "," + ComparisonCells(task, way) + "," +
              eval::CsvCells(summary.attention) + "," + eval::CsvNumber(summary.seconds) + "\n";
    }
  }
  return text;
}

}  // namespace qwen_infer::tasks
