#include "report.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

namespace qwen_infer::inspect {
namespace {

// Three tokens, one layer of one head; every token keeps itself and the first, which gets all but a quarter.
std::shared_ptr<const Capture> Captured() {
  const int layers[] = {7};
  const auto capture = std::make_shared<Capture>(layers, 3, 2);
  const std::vector<int64_t> offsets = {0, 1, 3, 5};
  const std::vector<topk::KeyIndex> keys = {0, 0, 1, 0, 2};
  const std::vector<float> weights = {1, 0.75F, 0.25F, 0.75F, 0.25F};
  const std::vector<float> mass = {1, 1, 0.5F};
  topk::AttentionInput input;
  input.n_query = 3;
  input.n_key = 3;
  capture->Begin(0, 3);
  capture->Observe(7, input, {offsets, keys, weights}, mass);
  capture->End();
  return capture;
}

Report Example(const std::vector<std::string>& pieces = {"a", "b", "c"}) {
  return {.model = "model.gguf",
          .model_description = "tiny",
          .prompt_file = "prompt.txt",
          .date = "2026-01-31",
          .versions = {{"qwen-infer", "1"}},
          .cache_type = "f16",
          .n_layer = 8,
          .tokens = {10, 11, 12},
          .pieces = pieces,
          .settings = {{.name = "k=2", .settings = "k=2,...", .capture = Captured()}}};
}

TEST(ReportTest, JsonHasTheFiguresOfHeadsAndTheMostAttended) {
  const nlohmann::json json = nlohmann::json::parse(Json(Example()));
  EXPECT_EQ(json["n_token"], 3);
  EXPECT_EQ(json["strongest"], 2);
  const nlohmann::json& setting = json["settings"][0];
  EXPECT_EQ(setting["name"], "k=2");
  EXPECT_DOUBLE_EQ(setting["kept_share"], 5.0 / 9);  // without a mask each sees all three
  EXPECT_DOUBLE_EQ(setting["min_mass"], 0.5);
  const nlohmann::json& layer = setting["layers"][0];
  EXPECT_EQ(layer["layer"], 7);
  const nlohmann::json& head = layer["heads"][0];
  EXPECT_NEAR(head["mean_mass"].get<double>(), 2.5 / 3, 1e-6);
  EXPECT_NEAR(head["weight_by_distance"][0].get<double>(), 1.5 / 3, 1e-6);
  EXPECT_NEAR(head["kept_by_distance"][0].get<double>(), 3.0 / 5, 1e-6);
  const nlohmann::json& sink = layer["most_attended"][0];
  EXPECT_EQ(sink["position"], 0);
  EXPECT_EQ(sink["token"], 10);
  EXPECT_EQ(sink["text"], "a");
  EXPECT_NEAR(sink["share"].get<double>(), 2.5 / 3, 1e-6);
  EXPECT_EQ(setting["most_attended"], layer["most_attended"]) << "there is one layer";
}

TEST(ReportTest, TableHasALineForEachSetting) {
  EXPECT_EQ(Table(Example()),
            "setting  keys kept  mean mass  minimum mass\n"
            "k=2        55.56 %     0.8333        0.5000\n");
}

TEST(ReportTest, PageIsWholeAndAsksNoOtherMachine) {
  const std::string page = Html(Example(), "abc");
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  EXPECT_NE(page.find("<script type=\"module\" nonce=\"abc\">"), std::string::npos);
  EXPECT_NE(page.find("script-src 'nonce-abc'"), std::string::npos);
  for (const char* part :
       {"@NONCE@", "@STYLE@", "@SCRIPT@", "@REPORT@", "@DATA@", "http:", "https:", "//cdn", "@import", "url("}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  for (const char* part : {"class Rows", "function sequential", "class TextView", "class HeadMap", "function showAll",
                           "id=\"rows-0-7\"", "id=\"rows-0-mean\"", "--accent"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
}

TEST(ReportTest, HostileTextCannotLeaveItsPlace) {
  const std::string hostile = "</script><script>alert(1)</script><!--";
  Report report = Example({hostile, std::string("\0\xff\xc3", 3), "@DATA@"});
  report.prompt_file = hostile;
  report.model = "\xff";
  const std::string page = Html(report, "abc");
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(page.find("<!--"), std::string::npos);
  EXPECT_NE(page.find("\\u003c/script>\\u003cscript>alert(1)"), std::string::npos) << "the name of the file";
  EXPECT_EQ(page.find('\0'), std::string::npos);
  const auto scripts = [](const std::string& text) {
    const std::regex script("<script");
    return std::distance(std::sregex_iterator(text.begin(), text.end(), script), std::sregex_iterator());
  };
  EXPECT_EQ(scripts(page), scripts(Html(Example(), "abc")));
  EXPECT_TRUE(nlohmann::json::accept(Json(report)));
}

}  // namespace
}  // namespace qwen_infer::inspect
