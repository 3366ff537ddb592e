#include "attention/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "attention/inputs.h"

namespace qwen_infer::attention_bench {
namespace {

Row SomeRow() {
  Times times;
  times.call[IndexOf(Method::kStockFlash)] = {8e-4, 4e-4};
  times.call[IndexOf(Method::kTopKF32)] = {2e-4, 2e-4};
  times.call[IndexOf(Method::kDense)] = {3e-3, 3e-3};
  times.call[IndexOf(Method::kAsUsed)] = {4e-4, 4e-4};
  times.unit[IndexOf(Yardstick::kRead)] = {1e-10, 1e-10};
  Row row = Evaluate({.heads = {4, 2, 32}, .type = GGML_TYPE_Q8_0, .n_query = 1, .n_key = 4096}, times);
  row.candidates = 420.4;
  row.scratch_bytes = 3 << 20;
  row.copies_bytes = 5 << 20;
  return row;
}

const Conditions kConditions = {.processor = "Some CPU",
                                .threads = 2,
                                .date = "2026-01-31",
                                .versions = {{"ggml", "1.2.3"}},
                                .flags = {{"repeat", "2"}},
                                .cold_bytes = 64 << 20,
                                .simd = "AVX2",
                                .command = "qwen-infer bench-attention --repeat 2"};

TEST(ReportTest, MarkdownHasACellForEveryColumn) {
  const std::string line = MarkdownLine(SomeRow());
  EXPECT_EQ(line,
            "| 1 | 4/2 | 32 | 4096 | q8_0 | 150 | - | 50.0 | - | - | 750 | 100 | **1.50** (1.00 - 2.00) | 14 % | 420 | "
            "3.0 MiB |\n");
  const std::string head = MarkdownHead(kConditions);
  EXPECT_NE(head.find("Some CPU, 2 threads; our kernels on AVX2; ggml 1.2.3; medians of 2 rounds"), std::string::npos);
  const std::string rule = head.substr(head.rfind("\n|") + 1);
  EXPECT_EQ(std::count(rule.begin(), rule.end(), '|'), std::count(line.begin(), line.end(), '|'));
}

TEST(ReportTest, RecordedInputsAreNamed) {
  const auto inputs = std::make_shared<Inputs>();
  inputs->name = "layer \"6\".gguf";
  Row row = SomeRow();
  row.the_case.inputs = inputs;
  EXPECT_TRUE(MarkdownLine(row).ends_with(" 3.0 MiB | layer \"6\".gguf |\n")) << MarkdownLine(row);
  Conditions conditions = kConditions;
  conditions.flags["inputs"] = "layer \"6\".gguf";
  const std::string head = MarkdownHead(conditions);
  const std::string line = MarkdownLine(row);
  for (const std::string& other : {head.substr(head.rfind("\n| ") + 1, head.rfind("\n|-") - head.rfind("\n| ")),
                                   head.substr(head.rfind("\n|-") + 1)}) {
    EXPECT_EQ(std::count(other.begin(), other.end(), '|'), std::count(line.begin(), line.end(), '|')) << other;
  }
  EXPECT_TRUE(Csv(std::vector<Row>{row}).ends_with(",420.4000,3145728,,all,\"layer \"\"6\"\".gguf\"\n"))
      << Csv(std::vector<Row>{row});
  EXPECT_TRUE(Csv(std::vector<Row>{SomeRow()}).ends_with(",\"gaussian\"\n"));
  EXPECT_EQ(nlohmann::json::parse(Json(conditions, std::vector<Row>{row}))["rows"][0]["inputs"], inputs->name);
}

TEST(ReportTest, VisibleKeysAreAColumnWhereAMaskHidesSome) {
  Row row = SomeRow();
  row.the_case.n_visible = 512;
  EXPECT_TRUE(MarkdownLine(row).ends_with(" 3.0 MiB | 512 |\n")) << MarkdownLine(row);
  Conditions conditions = kConditions;
  conditions.flags["visible"] = "512";
  EXPECT_NE(MarkdownHead(conditions).find("| scratch | visible |\n"), std::string::npos) << MarkdownHead(conditions);
  conditions.flags["visible"] = "all";
  EXPECT_EQ(MarkdownHead(conditions).find("| visible |"), std::string::npos);
  EXPECT_NE(Csv(std::vector<Row>{row}).find(",512,\"gaussian\"\n"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(Json(conditions, std::vector<Row>{row}))["rows"][0]["visible"], 512);
}

TEST(ReportTest, SeveralTypesHaveARatioOverAnyOfThem) {
  Row row = SomeRow();
  row.speed_up_any_type = 1.25;
  EXPECT_TRUE(MarkdownLine(row).ends_with(" 3.0 MiB | **1.25** |\n")) << MarkdownLine(row);
  Conditions conditions = kConditions;
  conditions.flags["types"] = "f16,q8_0";
  EXPECT_NE(MarkdownHead(conditions).find("| scratch | ratio, any type |\n"), std::string::npos);
  EXPECT_NE(Csv(std::vector<Row>{row}).find(",3145728,1.2500,all,"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(Json(conditions, std::vector<Row>{row}))["rows"][0]["ratio_any_type"], 1.25);
  EXPECT_TRUE(
      nlohmann::json::parse(Json(conditions, std::vector<Row>{SomeRow()}))["rows"][0]["ratio_any_type"].is_null());
}

TEST(ReportTest, CsvHasAFieldForEveryColumn) {
  const std::string csv = Csv(std::vector<Row>{SomeRow()});
  const size_t end = csv.find('\n');
  EXPECT_EQ(std::count(csv.begin(), csv.begin() + end, ','), std::count(csv.begin() + end, csv.end(), ','));
  EXPECT_NE(csv.find("\n1,4,2,32,4096,q8_0,150.0000,,50.0000,,,750.0000,100.0000,stock_flash,topk_f32,1.5000"),
            std::string::npos)
      << csv;
}

TEST(ReportTest, JsonTellsConditionsAndAllRounds) {
  const auto json = nlohmann::json::parse(Json(kConditions, std::vector<Row>{SomeRow()}));
  EXPECT_EQ(json["cpu"], "Some CPU");
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["versions"]["ggml"], "1.2.3");
  EXPECT_EQ(json["flags"]["repeat"], "2");
  EXPECT_EQ(json["simd"], "AVX2");
  const auto& row = json["rows"].at(0);
  EXPECT_EQ(row["keys"], 4096);
  EXPECT_EQ(row["type"], "q8_0");
  EXPECT_TRUE(row["microseconds"]["stock_products"].is_null());
  EXPECT_EQ(row["microseconds"]["stock_flash"]["rounds"].size(), 2U);
  EXPECT_DOUBLE_EQ(row["microseconds"]["topk_f32"]["median"], 50);
  EXPECT_DOUBLE_EQ(row["ratio"]["median"], 1.5);
  EXPECT_EQ(row["copies_bytes"], 5 << 20);
  EXPECT_NEAR(row["giga_per_second"]["read_bytes"].get<double>(), 10, 1e-9);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
