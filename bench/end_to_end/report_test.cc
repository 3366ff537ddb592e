#include "end_to_end/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace qwen_infer::end_to_end_bench {
namespace {

const Conditions kConditions = {
    .processor = "a CPU", .date = "2026-01-31", .versions = {{"b", "2"}}, .settings = "k=8", .command = "do it"};
constexpr Workload kTest = {.kind = Kind::kGenerate, .tokens = 32, .depth = 64};

Options SomeOptions() {
  Options options;
  options.threads = 2;
  options.repetitions = 2;
  options.text["model"] = "a.gguf";
  return options;
}

TEST(EndToEndReportTest, TableShowsMediansAndRatios) {
  const Row row = Evaluate(kTest, {{{4, 4}, {}, {2, 1}}}, 2);
  EXPECT_EQ(MarkdownLine(row), "| tg32 @ d64 | 8.0 | - | 24.0 | **3.00** (2.00 - 4.00) |\n");
  EXPECT_NE(
      MarkdownHead(kConditions, SomeOptions()).find("`do it`  \n2026-01-31; a CPU, 2 threads; b 2; KV cache f16/f16"),
      std::string::npos);
}

TEST(EndToEndReportTest, JsonHasEveryRound) {
  const Row row = Evaluate(kTest, {{{4, 4}, {}, {2, 1}}}, 2);
  const auto json = nlohmann::json::parse(Json(kConditions, SomeOptions(), {&row, 1}));
  EXPECT_EQ(json["settings"], "k=8");
  ASSERT_EQ(json["measurements"].size(), 2U);
  const auto& topk = json["measurements"][1];
  EXPECT_EQ(topk["method"], "topk");
  EXPECT_EQ(topk["test"], "tg");
  EXPECT_EQ(topk["depth"], 64);
  EXPECT_EQ(topk["tokens_per_second"]["rounds"], (std::vector<double>{16, 32}));
  EXPECT_EQ(json["ratios"][0]["stock"], "stock_flash");
  EXPECT_EQ(json["ratios"][0]["max"], 4);
}

}  // namespace
}  // namespace qwen_infer::end_to_end_bench
