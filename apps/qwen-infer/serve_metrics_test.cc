#include "serve_metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qwen_infer {
namespace {

LayerStatistics Layer(int number) {
  LayerStatistics layer;
  layer.layer = number;
  layer.calls = 3;
  layer.sums.rows = 1'234'567'890;
  layer.sums.dense_rows = 5;
  layer.sums.keys_seen = 9'007'199'254'740'991;  // 2^53 - 1: every digit counts
  layer.sums.keys_kept = 1000;
  layer.sums.mass_rows = 4;
  layer.sums.mass_sum = 3.5;
  layer.sums.mass_min = 0.25;
  layer.sums.seconds = 0.5;
  return layer;
}

void ExpectLine(const std::string& text, const std::string& line) {
  EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << "no line '" << line << "' in:\n" << text;
}

TEST(ServeMetricsTest, HasEveryLayer) {
  const std::vector<LayerStatistics> layers = {Layer(kUnknownLayer), Layer(0), Layer(23)};
  const std::string text = "\n" + PrometheusText(Settings(), layers);
  ExpectLine(text, "# TYPE topk_rows_total counter");
  ExpectLine(text, R"(topk_calls_total{layer="unknown"} 3)");
  ExpectLine(text, R"(topk_rows_total{layer="23"} 1234567890)");
  ExpectLine(text, R"(topk_dense_rows_total{layer="0"} 5)");
  ExpectLine(text, R"(topk_keys_seen_total{layer="0"} 9007199254740991)");
  ExpectLine(text, R"(topk_keys_kept_total{layer="0"} 1000)");
  ExpectLine(text, R"(topk_attention_seconds_total{layer="0"} 0.5)");
  ExpectLine(text, R"(topk_mass_sum{layer="0"} 3.5)");
  ExpectLine(text, R"(topk_mass_count{layer="0"} 4)");
  ExpectLine(text, R"(topk_mass_minimum{layer="0"} 0.25)");
  EXPECT_NE(text.find("topk_settings_info{settings=\"k=256,"), std::string::npos);
}

TEST(ServeMetricsTest, MassThatWasNotMeasuredHasNoMinimum) {
  LayerStatistics layer = Layer(0);
  layer.sums.mass_rows = 0;
  EXPECT_EQ(PrometheusText(Settings(), {&layer, 1}).find("topk_mass_minimum{"), std::string::npos);
}

TEST(ServeMetricsTest, NamesOfFilesAreNotShown) {
  Settings settings;
  settings.recordings[0] = "/home/a \"b\".gguf";
  EXPECT_EQ(PrometheusText(settings, {}).find("home"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer
