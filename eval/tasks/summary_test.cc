#include "eval/tasks/summary.h"

#include <gtest/gtest.h>

#include "eval/tasks/paired.h"

namespace qwen_infer::tasks {
namespace {

Result Of(const std::string& task, int64_t index, const std::vector<double>& scores) {
  Result result = {.task = task, .index = index, .prompt_tokens = 1000 + index, .references = {"a", "b"}};
  for (const double score : scores) result.ways.push_back({.answer = "", .score = score, .seconds = 2});
  return result;
}

TEST(TaskSummaryTest, WaysArePairedByExample) {
  const std::vector<TaskSummary> tasks =
      Summarize(std::vector<Result>{Of("vt", 0, {1, 1, 0.5}), Of("vt", 1, {0, 1, 0.5}), Of("vt", 2, {1, 0.5, 1})});
  ASSERT_EQ(tasks.size(), 1U);
  EXPECT_EQ(tasks[0].name, "vt");
  EXPECT_EQ(tasks[0].examples, 3);
  EXPECT_EQ(tasks[0].prompt_tokens, 1001);
  ASSERT_EQ(tasks[0].ways.size(), 3U);
  EXPECT_NEAR(tasks[0].ways[1].score, 2.5 / 3, 1e-12);
  EXPECT_EQ(tasks[0].ways[1].correct, 2);
  EXPECT_EQ(tasks[0].ways[2].correct, 1);
  EXPECT_EQ(tasks[0].ways[0].seconds, 6);
  // Second against full, third against full, third against second.
  ASSERT_EQ(tasks[0].comparisons.size(), 3U);
  const Comparison& first = tasks[0].comparisons[0];
  EXPECT_EQ(first.way, 1U);
  EXPECT_EQ(first.against, 0U);
  EXPECT_EQ(first.only_way, 1);
  EXPECT_EQ(first.only_against, 1);
  EXPECT_EQ(first.p_value, 1);
  EXPECT_NEAR(first.difference.mean, 0.5 / 3, 1e-12);
  // Two references: scores differ by a half at least.
  const std::vector<double> differences = {0, 1, -0.5};
  EXPECT_EQ(first.difference.high, MeanDifference(differences, 0.5).high);
  const Comparison& last = tasks[0].comparisons[2];
  EXPECT_EQ(last.way, 2U);
  EXPECT_EQ(last.against, 1U);
  EXPECT_EQ(last.only_way, 1);
  EXPECT_EQ(last.only_against, 2);
}

TEST(TaskSummaryTest, SeveralTasksHaveALineForAllOfThem) {
  const std::vector<TaskSummary> tasks =
      Summarize(std::vector<Result>{Of("vt", 0, {1, 0}), Of("cwe", 0, {1, 1}), Of("vt", 1, {1, 0})});
  ASSERT_EQ(tasks.size(), 3U);
  EXPECT_EQ(tasks[0].name, "vt");
  EXPECT_EQ(tasks[0].examples, 2);
  EXPECT_EQ(tasks[1].name, "cwe");
  EXPECT_EQ(tasks[2].name, "all tasks");
  EXPECT_EQ(tasks[2].examples, 3);
  EXPECT_NEAR(tasks[2].ways[1].score, 1.0 / 3, 1e-12);
}

TEST(TaskSummaryTest, NothingIsMadeOfNothing) { EXPECT_TRUE(Summarize({}).empty()); }

}  // namespace
}  // namespace qwen_infer::tasks
