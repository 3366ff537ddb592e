#include "report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace qwen_infer::eval {
namespace {

constexpr int64_t kWindow = 600;

WayScores Scores(float nll, float kl) {
  WayScores scores;
  scores.nll.assign(kWindow - 1, nll);
  scores.kl.assign(kWindow - 1, kl);
  scores.agrees.assign(kWindow - 1, kl == 0 ? 1 : 0);
  scores.seconds = 10;
  return scores;
}

Report Example() {
  WindowScores window = {Scores(1, 0), Scores(1.01F, 0.002F), Scores(0.99F, 0.001F)};
  window[1].attention = {
      .rows = 1000, .keys_seen = 1000, .keys_kept = 250, .mass_rows = 16, .mass_sum = 14, .mass_min = 0.5};
  window[2].attention = {
      .rows = 1000, .keys_seen = 1000, .keys_kept = 500, .mass_rows = 1000, .mass_sum = 950, .mass_min = 0.9};
  return {.run = {.model = "a.gguf",
                  .model_description = "tiny",
                  .processor = "some & processor",
                  .threads = 2,
                  .date = "2026-01-31",
                  .versions = {{"ggml", "1"}},
                  .command = "qwen-infer eval --model a.gguf",
                  .cache_type = "f16",
                  .ways = {{"full attention", ""},
                           {"k=16,sinks=4", "k=16,sinks=4,..."},
                           {"min_mass=0.9", "min_mass=0.9,..."}}},
          .files = 3,
          .text_bytes = 123456,
          .text_hash = "ab",
          .window = kWindow,
          .seed = 1,
          .summary = Summarize(std::vector<WindowScores>(2, window), {300, kWindow}, 1)};
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "not there: " << part << "\n" << text;
}

TEST(EvalReportTest, MarkdownTellsQualityMassBoundAndSpeed) {
  const std::string text = Markdown(Example());
  EXPECT_TRUE(text.starts_with("`qwen-infer eval --model a.gguf`  \n2026-01-31; a.gguf (tiny), K and V in f16; "));
  ExpectHas(text,
            "2 windows of 600 tokens, spread over 123,456 bytes of 3 files; hash of the tokens read: ab; 600 tokens "
            "scored, those "
            "with 300-599 before them");
  ExpectHas(text, "| full attention | 2.7183 | - | - | - | - | 100.0 % | - | - | - | 59.9 |\n");
  ExpectHas(text,
            "| k=16,sinks=4 | 2.7456 | +1.01 (+1.01 to +1.01) | 0.00200 | 0.00200 | 0.00 % | 25.0 % | 0.8750 | "
            "0.5000 * | - | 59.9 |\n");
  ExpectHas(text, "| 50.0 % | 0.9500 | 0.9000 | 0.2000 |");
  ExpectHas(text, "| tokens before | 1-255 | 256-511 | 512-599 |");
  ExpectHas(text, "| min_mass=0.9 | k=16,sinks=4 | -1.98 (-1.98 to -1.98) |");
  ExpectHas(text, "*: of the rows that were measured, 32 of 2,000");
}

TEST(EvalReportTest, JsonHasEveryFigure) {
  const auto json = nlohmann::json::parse(Json(Example()));
  EXPECT_EQ(json["windows"], 2);
  EXPECT_EQ(json["bootstrap"]["seed"], 1);
  ASSERT_EQ(json["ways"].size(), 3U);
  const auto& setting = json["ways"][1];
  EXPECT_EQ(setting["name"], "k=16,sinks=4");
  EXPECT_NEAR(setting["scored"]["change_percent"]["mean"].get<double>(), 1.005, 0.001);
  EXPECT_EQ(setting["scored"]["first"], 300);
  EXPECT_EQ(setting["scored"]["last"], 599);
  EXPECT_EQ(setting["attention"]["kept_share"], 0.25);
  EXPECT_TRUE(setting["attention"]["deviation_bound"].is_null()) << "not every row was measured";
  EXPECT_NEAR(json["ways"][2]["attention"]["deviation_bound"].get<double>(), 0.2, 1e-12);
  EXPECT_TRUE(json["ways"][0]["attention"].is_null());
  EXPECT_EQ(setting["by_position"].size(), 3U);
  EXPECT_EQ(json["differences"][0]["against"], "k=16,sinks=4");
}

TEST(EvalReportTest, CsvHasALineForEachWayAndRange) {
  std::istringstream lines(Csv(Example()));
  std::string head;
  std::getline(lines, head);
  const auto columns = std::count(head.begin(), head.end(), ',');
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    ++count;
    const bool has_comma_in_name = line.starts_with("\"k=16,sinks=4\",");
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), columns + (has_comma_in_name ? 1 : 0)) << line;
  }
  EXPECT_EQ(count, 3 * (1 + 3));
}

TEST(EvalReportTest, PageIsWholeAndAsksForNothing) {
  const std::string page = Html(Example());
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  ExpectHas(page, "some &amp; processor");
  EXPECT_EQ(std::count(page.begin(), page.end(), '<'), std::count(page.begin(), page.end(), '>'));
  for (const char* request : {"src=", "href=", "url(", "<script", "@import"}) {
    EXPECT_EQ(page.find(request), std::string::npos) << request;
  }
}

TEST(EvalReportTest, ChartsHaveAPointForEachFigure) {
  const auto points = [](const std::string& svg) {
    size_t count = 0;
    for (size_t at = 0; (at = svg.find("<title>", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(points(KeptShareChart(Example())), 2U);
  EXPECT_EQ(points(PositionChart(Example())), 2U * 3U);
}

}  // namespace
}  // namespace qwen_infer::eval
