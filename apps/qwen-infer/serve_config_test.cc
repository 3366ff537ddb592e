#include "serve_config.h"

#include <gtest/gtest.h>

#include <string>

namespace qwen_infer {
namespace {

TEST(ServeConfigTest, ChangesWhatIsNamedAndNothingElse) {
  Settings settings;
  settings.options.window = 7;
  const topk::Status status =
      ApplyConfig(R"({"k": 128, "temperature": 0.5, "sparse": true, "mass": "exact", "k@2-3": 512})", settings);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(settings.options.k, 128);
  EXPECT_EQ(settings.options.temperature, 0.5F);
  EXPECT_TRUE(settings.options.sparse);
  EXPECT_EQ(settings.options.mass, topk::MassMode::kExact);
  EXPECT_EQ(settings.options.window, 7);
  EXPECT_EQ(settings.ForLayer(2, 4096).k, 512);
  EXPECT_EQ(settings.ForLayer(4, 4096).k, 128);
}

struct BadConfig {
  const char* body;
  const char* named;  // in the message
};

TEST(ServeConfigTest, RefusesBadSettingsNamesThemAndChangesNothing) {
  const BadConfig kBad[] = {
      {"", "JSON"},
      {"{", "JSON"},
      {"{}", "no setting"},
      {"[1]", "no setting"},
      {R"({"k": 0})", "0"},
      {R"({"k": -1})", "-1"},
      {R"({"k": 1e12})", "1000000000000"},
      {R"({"k": null})", "null"},
      {R"({"k": [1]})", "[1]"},
      {R"({"k": "64,sinks=4"})", "64,sinks=4"},
      {R"({"temperature": 0})", "0"},
      {R"({"temperature": -1.5})", "-1.5"},
      {R"({"temperature": "nan"})", "nan"},
      {R"({"budget": 64})", "budget"},
      {R"({"k": 64, "sinks": -1})", "-1"},
      {R"({"k@3-2": 64})", "3-2"},
      {R"({"k@0": 0})", "0"},
      {R"({"record@0": "/tmp/x"})", "record@0"},
      {R"({"record_queries": 1})", "record_queries"},
      {R"({"profile": "/tmp/x"})", "'profile' is about a file"},
  };
  for (const BadConfig& bad : kBad) {
    SCOPED_TRACE(bad.body);
    Settings settings;
    const std::string before = FormatSettings(settings);
    const topk::Status status = ApplyConfig(bad.body, settings);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(bad.named), std::string::npos) << status.message();
    EXPECT_EQ(FormatSettings(settings), before);
  }
}

TEST(ServeConfigTest, ChangingALayerAgainDoesNotGrowTheSettings) {
  Settings settings;
  for (const char* body : {R"({"k@0": 10, "k@0-1": 11})", R"({"k@0": 12})", R"({"k@0": 13})"}) {
    ASSERT_TRUE(ApplyConfig(body, settings).ok());
  }
  EXPECT_EQ(settings.overrides.size(), 2U);
  EXPECT_EQ(settings.ForLayer(0, 4096).k, 13);
  EXPECT_EQ(settings.ForLayer(1, 4096).k, 11);
}

}  // namespace
}  // namespace qwen_infer
