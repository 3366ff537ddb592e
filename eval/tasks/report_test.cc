#include "eval/tasks/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace qwen_infer::tasks {
namespace {

Result Of(const std::string& task, int64_t index, double full, double few, double many) {
  const topk::Statistics attention = {
      .rows = 1000, .keys_seen = 1000, .keys_kept = 250, .mass_rows = 16, .mass_sum = 14, .mass_min = 0.5};
  return {.task = task,
          .index = index,
          .prompt_tokens = 1000,
          .references = {"12345"},
          .ways = {{.answer = " <12345>", .score = full},
                   {.answer = " 1", .score = few, .attention = attention},
                   {.answer = " 2", .score = many, .attention = attention}}};
}

Report Example() {
  Report report = {
      .run = {.model = "a.gguf",
              .model_description = "tiny",
              .processor = "some & processor",
              .threads = 2,
              .date = "2026-01-31",
              .versions = {{"ggml", "1"}},
              .command = "qwen-infer eval-tasks --model a.gguf",
              .cache_type = "f16",
              .ways = {{"full attention", ""}, {"k=16,sinks=4", "k=16,sinks=4,..."}, {"k=64", "k=64,..."}}},
      .length = 1024,
      .examples = 6,
      .seed = 1,
      .results = {},
      .tasks = {}};
  for (int64_t i = 0; i < 6; ++i) report.results.push_back(Of("passkey", i, 1, 0, 1));
  for (int64_t i = 0; i < 6; ++i) report.results.push_back(Of("cwe", i, 0.5, 0, 0.5));
  report.tasks = Summarize(report.results);
  return report;
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "not there: " << part << "\n" << text;
}

TEST(TaskReportTest, MarkdownTellsScoresDifferencesAndTests) {
  const std::string text = Markdown(Example());
  EXPECT_TRUE(text.starts_with("`qwen-infer eval-tasks --model a.gguf`  \n2026-01-31; a.gguf (tiny)"));
  ExpectHas(
      text,
      "6 examples of each task, seed 1; prompt and answer have at most 1,024 tokens; needles are hidden in noise");
  ExpectHas(text, "| passkey | 6 | 1,000 | 100.0 | 0.0 | 100.0 |\n");
  ExpectHas(text, "| all tasks | 12 | 1,000 | 75.0 | 0.0 | 75.0 |\n");
  // All six lost: 2 / 2^6.
  ExpectHas(text, "| passkey | k=16,sinks=4 | 0.0 | -100.0 (-100.0 to -");
  ExpectHas(text, ") | 0 | 6 | 0.031 | 25.0 % | 0.8750 | 0.5000 * |\n");
  ExpectHas(text, "| passkey | k=64 | k=16,sinks=4 | +100.0 (");
}

TEST(TaskReportTest, JsonHasEveryAnswer) {
  const auto json = nlohmann::json::parse(Json(Example()));
  EXPECT_EQ(json["program"], "qwen-infer eval-tasks");
  EXPECT_EQ(json["tasks"].size(), 3U);
  EXPECT_EQ(json["tasks"][0]["comparisons"][0]["only_against"], 6);
  EXPECT_NEAR(json["tasks"][0]["comparisons"][0]["p_value"].get<double>(), 0.03125, 1e-12);
  EXPECT_EQ(json["tasks"][0]["ways"][1]["score"], 0);
  EXPECT_EQ(json["results"].size(), 12U);
  EXPECT_EQ(json["results"][0]["ways"][0]["answer"], " <12345>");
  EXPECT_EQ(json["results"][0]["references"][0], "12345");
}

TEST(TaskReportTest, CsvHasALineForEachTaskAndWayWithAllCells) {
  const std::string text = Csv(Example());
  size_t lines = 0;
  size_t cells = 0;
  bool is_quoted = false;
  for (const char c : text) {
    if (c == '"') is_quoted = !is_quoted;
    if (c == ',' && !is_quoted) ++cells;
    if (c == '\n') ++lines;
  }
  EXPECT_EQ(lines, 1U + 3 * 3);
  EXPECT_EQ(cells, lines * 15);
  ExpectHas(text, "passkey,\"full attention\",6,1000,1,6,,,,,,,1,,,0\n");
  ExpectHas(text, "passkey,\"k=16,sinks=4\",6,1000,0,0,-1,-1,");
}

TEST(TaskReportTest, ThePageHasTablesAndDrawingsAndAsksForNothing) {
  const std::string page = Html(Example());
  ExpectHas(page, "<svg");
  ExpectHas(page, "Difference from full attention by task");
  ExpectHas(page, "some &amp; processor");
  for (const char* outside : {"src=", "<link", "@import", "url("}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
}

TEST(TaskReportTest, ChartsNameEveryTaskAndSetting) {
  for (const std::string& chart : {ScoreChart(Example()), DifferenceChart(Example())}) {
    ExpectHas(chart, "passkey");
    ExpectHas(chart, "all tasks");
    ExpectHas(chart, "k=16,sinks=4");
  }
  ExpectHas(DifferenceChart(Example()), "passkey, k=16,sinks=4: -100.0 points");
}

}  // namespace
}  // namespace qwen_infer::tasks
