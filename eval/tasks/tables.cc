#include "eval/tasks/tables.h"

#include <cmath>

#include "eval/cells.h"
#include "eval/window_scores.h"
#include "shared/fixed.h"

namespace qwen_infer::tasks {

namespace {

constexpr double kPercent = 100;

std::string PValue(double p) { return p < 0.001 ? "< 0.001" : Fixed(p, 3); }

// The difference, who alone was right, and the test: four cells.
void AddComparison(const Comparison& comparison, std::vector<std::string>& row) {
  row.push_back(eval::WithInterval(comparison.difference, kPercent, 1));
  row.push_back(std::to_string(comparison.only_way));
  row.push_back(std::to_string(comparison.only_against));
  row.push_back(PValue(comparison.p_value));
}

}  // namespace

eval::Table ScoreTable(const Report& report) {
  eval::Table table{.head = {"task", "examples", "tokens"}, .rows = {}};
  for (const eval::WayName& way : report.run.ways) table.head.push_back(way.name);
  for (const TaskSummary& task : report.tasks) {
    std::vector<std::string>& row = table.rows.emplace_back();
    row = {task.name, std::to_string(task.examples), WithCommas(std::llround(task.prompt_tokens))};
    for (const WaySummary& way : task.ways) row.push_back(Fixed(kPercent * way.score, 1));
  }
  return table;
}

eval::Table DifferenceTable(const Report& report) {
  eval::Table table{.head = {"task", "setting", "score", "difference (95 %)", "right only with it",
                             "only with full attention", "McNemar's p", "kept", "mean mass", "least mass"},
                    .rows = {}};
  for (const TaskSummary& task : report.tasks) {
    for (const Comparison& comparison : task.comparisons) {
      if (comparison.against != eval::kFullAttention) continue;
      const WaySummary& way = task.ways[comparison.way];
      std::vector<std::string>& row = table.rows.emplace_back();
      row = {task.name, report.run.ways[comparison.way].name, Fixed(kPercent * way.score, 1)};
      AddComparison(comparison, row);
      row.push_back(eval::Percent(way.attention.KeptShare(), 1));
      row.push_back(eval::MeanMass(way.attention));
      row.push_back(eval::LeastMass(way.attention));
    }
  }
  return table;
}

eval::Table PairTable(const Report& report) {
  eval::Table table{.head = {"task", "setting", "against", "difference (95 %)", "right only with the one",
                             "only with the other", "McNemar's p"},
                    .rows = {}};
  for (const TaskSummary& task : report.tasks) {
    for (const Comparison& comparison : task.comparisons) {
      if (comparison.against == eval::kFullAttention) continue;
      std::vector<std::string>& row = table.rows.emplace_back();
      row = {task.name, report.run.ways[comparison.way].name, report.run.ways[comparison.against].name};
      AddComparison(comparison, row);
    }
  }
  return table;
}

std::vector<std::string> Facts(const Report& report) {
  std::vector<std::string> facts = FactsOf(report.run);
  facts.push_back(eval::Count(report.examples, "example") + " of each task, seed " + std::to_string(report.seed) +
                  "; prompt and answer have at most " + WithCommas(report.length) + " tokens");
  facts.push_back(report.sentences > 0 ? "needles are hidden in a text of " + eval::Count(report.sentences, "sentence")
                                       : "needles are hidden in noise");
  if (report.functions > 0) facts.push_back("code of " + eval::Count(report.functions, "function"));
  return facts;
}

std::vector<std::string> Legend(const Report& report) {
  std::vector<std::string> lines;
  lines.emplace_back(
      "score: the share of what was asked for that is in the answer, mean over the examples, in percent (RULER's "
      "string_match_all); all ways answer the same prompts, always with the most likely token");
  lines.emplace_back(
      "difference: of the scores, in points, paired by example; in brackets the 95 % interval of Bonett and Price "
      "(2012), which has a width where no two answers differ");
  lines.emplace_back(
      "right: all that was asked for is in the answer. McNemar's p: how likely it is that so many or more of the "
      "examples that differ do so in one direction, if both ways are equally good (exact, two-sided)");
  lines.emplace_back(
      "kept: share of the visible keys, over all rows (query and head) that were computed: what prompts begin alike "
      "with is read once. Mass: share of the full softmax that the kept keys have");
  lines.emplace_back(
      "passkey is that of Mohtashami and Jaggi (2023); niah_*, vt, cwe and fwe are those of RULER (Hsieh et al., 2024, "
      "github.com/NVIDIA/RULER), in its words, with words of our own to hide and to count");
  for (const TaskSummary& task : report.tasks) {
    for (const WaySummary& way : task.ways) {
      if (eval::MassNote(way.attention).empty()) continue;
      lines.emplace_back("*: of the rows that were measured, one in 64 to 256");
      return lines;
    }
  }
  return lines;
}

}  // namespace qwen_infer::tasks
