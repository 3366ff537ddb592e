#include "eval/tasks/summary.h"

#include <algorithm>
#include <utility>

#include "eval/tasks/paired.h"

namespace qwen_infer::tasks {

namespace {

using Examples = std::vector<const Result*>;

WaySummary SummaryOf(const Examples& examples, size_t way) {
  WaySummary summary;
  for (const Result* example : examples) {
    const Outcome& outcome = example->ways[way];
    summary.score += outcome.score;
    summary.correct += outcome.IsCorrect() ? 1 : 0;
    summary.seconds += outcome.seconds;
    summary.attention.Add(outcome.attention);
  }
  summary.score /= static_cast<double>(examples.size());
  return summary;
}

// The greatest of the least steps between scores: of the example with the fewest references.
double StepOf(const Examples& examples) {
  size_t fewest = examples.front()->references.size();
  for (const Result* example : examples) fewest = std::min(fewest, example->references.size());
  return 1 / static_cast<double>(fewest);
}

Comparison Compare(const Examples& examples, size_t way, size_t against) {
  Comparison comparison{.way = way, .against = against};
  std::vector<double> differences;
  for (const Result* example : examples) {
    const Outcome& ours = example->ways[way];
    const Outcome& theirs = example->ways[against];
    differences.push_back(ours.score - theirs.score);
    comparison.only_way += ours.IsCorrect() && !theirs.IsCorrect() ? 1 : 0;
    comparison.only_against += theirs.IsCorrect() && !ours.IsCorrect() ? 1 : 0;
  }
  comparison.difference = MeanDifference(differences, StepOf(examples));
  comparison.p_value = McNemarExact(comparison.only_way, comparison.only_against);
  return comparison;
}

TaskSummary SummaryOf(const std::string& name, const Examples& examples) {
  TaskSummary summary{.name = name, .examples = static_cast<int64_t>(examples.size())};
  for (const Result* example : examples) summary.prompt_tokens += static_cast<double>(example->prompt_tokens);
  summary.prompt_tokens /= static_cast<double>(examples.size());
  for (size_t way = 0; way < examples.front()->ways.size(); ++way) {
    summary.ways.push_back(SummaryOf(examples, way));
    for (size_t against = 0; against < way; ++against) {
      summary.comparisons.push_back(Compare(examples, way, against));
    }
  }
  return summary;
}

}  // namespace

std::vector<TaskSummary> Summarize(std::span<const Result> results) {
  std::vector<std::pair<std::string, Examples>> tasks;
  Examples all;
  for (const Result& result : results) {
    auto task = std::find_if(tasks.begin(), tasks.end(), [&](const auto& one) { return one.first == result.task; });
    if (task == tasks.end()) task = tasks.insert(tasks.end(), {result.task, {}});
    task->second.push_back(&result);
    all.push_back(&result);
  }
  std::vector<TaskSummary> summaries;
  for (const auto& [name, examples] : tasks) summaries.push_back(SummaryOf(name, examples));
  if (tasks.size() > 1) summaries.push_back(SummaryOf("all tasks", all));
  return summaries;
}

}  // namespace qwen_infer::tasks
