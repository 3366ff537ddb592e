#include "settings.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <utility>

namespace qwen_infer {
namespace {

using ::testing::TestWithParam;
using ::testing::ValuesIn;

Settings Parse(std::string_view text) {
  Settings settings;
  const topk::Status status = ParseSettings(text, settings);
  EXPECT_TRUE(status.ok()) << status.message();
  return settings;
}

TEST(ParseSettings, EmptyTextKeepsTheDefaults) {
  for (const char* text : {"", "  "}) {
    const Settings settings = Parse(text);
    EXPECT_EQ(settings.options.k, 256);
    EXPECT_EQ(settings.options.mass, topk::MassMode::kSampled);
    EXPECT_TRUE(settings.auto_crossover);
    EXPECT_EQ(settings.ForLayer(0, 4096).crossover, kDefaultCrossover);
    EXPECT_EQ(settings.dense_layers, 0);
    EXPECT_TRUE(settings.overrides.empty());
  }
}

TEST(ParseSettings, ReadsEveryFieldOfTheLibrary) {
  for (const topk::OptionField& field : topk::OptionFields()) {
    Parse(std::string(field.name) + "=" + std::string(field.default_value));
  }
}

TEST(ParseSettings, LaterItemsWinAndBlanksAreIgnored) {
  const Settings settings = Parse(" k = 8 , window=3,k=9 ,dense_layers = 2");
  EXPECT_EQ(settings.options.k, 9);
  EXPECT_EQ(settings.options.window, 3);
  EXPECT_EQ(settings.dense_layers, 2);
}

TEST(ParseSettings, AddsToWhatIsThere) {
  Settings settings = Parse("k=8,window=3");
  ASSERT_TRUE(ParseSettings("window=5", settings).ok());
  EXPECT_EQ(settings.options.k, 8);
  EXPECT_EQ(settings.options.window, 5);
}

TEST(ParseSettings, LayerSettingsWinOverPlainOnesInAnyOrder) {
  for (const char* text : {"k=8,k@3=100,k@5-6=200", "k@3=100,k@5-6=200,k=8"}) {
    const Settings settings = Parse(text);
    const std::array<std::pair<int, int64_t>, 7> expected = {
        {{kUnknownLayer, 8}, {2, 8}, {3, 100}, {4, 8}, {5, 200}, {6, 200}, {7, 8}}};
    for (const auto& [layer, k] : expected)
      EXPECT_EQ(settings.ForLayer(layer, 4096).k, k) << text << ", layer " << layer;
  }
}

TEST(ParseSettings, LaterOfTwoOverlappingRangesWins) {
  const Settings settings = Parse("k@0-4=10,k@4-8=20,sinks@4=3");
  EXPECT_EQ(settings.ForLayer(3, 1).k, 10);
  EXPECT_EQ(settings.ForLayer(4, 1).k, 20);
  EXPECT_EQ(settings.ForLayer(4, 1).sinks, 3);
  EXPECT_EQ(settings.ForLayer(5, 1).sinks, 0);
}

TEST(ForLayer, DenseLayersKeepAllKeysWhateverElseIsSet) {
  const Settings settings = Parse("k=8,min_mass=0.5,fallback=off,sparse=on,dense_layers=2,k@1=16");
  for (const int layer : {0, 1}) {
    const topk::TopKOptions options = settings.ForLayer(layer, 5000);
    EXPECT_EQ(options.k, 5000);
    EXPECT_EQ(options.min_mass, 0.0F);
    EXPECT_TRUE(options.fallback);
    EXPECT_TRUE(options.Validate().ok());
  }
  EXPECT_EQ(settings.ForLayer(2, 5000).k, 8);
  EXPECT_FALSE(settings.ForLayer(2, 5000).fallback);
  EXPECT_EQ(settings.ForLayer(kUnknownLayer, 5000).k, 8);
  // No keys at all is still a valid call.
  EXPECT_TRUE(settings.ForLayer(0, 0).Validate().ok());
}

TEST(ParseSettings, ReadsRecordings) {
  const Settings settings =
      Parse("record@6=a.gguf, record@0 = b=c.gguf,record@6=d.gguf,record_queries=1,record_keys=8192");
  EXPECT_EQ(settings.recordings, (std::map<int, std::string>{{0, "b=c.gguf"}, {6, "d.gguf"}}));
  EXPECT_EQ(settings.record_queries, 1);
  EXPECT_EQ(settings.record_keys, 8192);
  EXPECT_EQ(FormatSettings(Parse(FormatSettings(settings))), FormatSettings(settings));
}

TEST(ForLayer, ANumberOfTheUsersWinsOverTheMeasuredCrossover) {
  const Settings automatic = Parse("k=256,crossover@3=500,k@4=512");
  EXPECT_EQ(automatic.ForLayer(2, 4096, 700).crossover, 700);
  EXPECT_EQ(automatic.ForLayer(3, 4096, 700).crossover, 500);
  EXPECT_EQ(automatic.ForLayer(4, 4096, 700).crossover, 1400) << "twice the budget";
  EXPECT_EQ(Parse("k=auto").ForLayer(0, 4096, 700).crossover, 700)
      << "the budget of a row at the crossover is below 256";
  const Settings fixed = Parse("crossover=0,crossover@3=auto");
  EXPECT_EQ(fixed.ForLayer(2, 4096, 700).crossover, 0);
  EXPECT_EQ(fixed.ForLayer(3, 4096, 700).crossover, 700);
  EXPECT_EQ(FormatSettings(Parse(FormatSettings(fixed))), FormatSettings(fixed));
  EXPECT_TRUE(Parse("crossover=9,crossover=auto").auto_crossover);
}

TEST(ParseSettings, TheBudgetOfAllLayersOrOfOneMayBeAuto) {
  const Settings settings = Parse("k=auto,k@2=64,k@3=auto,dense_layers=1");
  EXPECT_EQ(settings.ForLayer(0, 3000).k, 3000);
  EXPECT_EQ(settings.ForLayer(1, 3000).k, topk::kAutoBudget);
  EXPECT_EQ(settings.ForLayer(2, 3000).k, 64);
  EXPECT_EQ(settings.ForLayer(3, 3000).k, topk::kAutoBudget);
  EXPECT_EQ(FormatSettings(Parse(FormatSettings(settings))), FormatSettings(settings));
  EXPECT_NE(FormatSettings(settings).find("k@3=auto"), std::string::npos);
}

TEST(FormatSettings, RoundTrips) {
  const std::string text = FormatSettings(Parse("k=77,temperature=0.7,dense_layers=3,k@1=5,window@2-9=64,mass=exact"));
  EXPECT_EQ(FormatSettings(Parse(text)), text);
  const Settings settings = Parse(text);
  EXPECT_EQ(settings.options.k, 77);
  EXPECT_FLOAT_EQ(settings.options.temperature, 0.7F);
  EXPECT_EQ(settings.dense_layers, 3);
  EXPECT_EQ(settings.ForLayer(9, 100).window, 64);
}

struct BadText {
  const char* text;
  const char* named;  // what the message must contain
};

class RefusesBadText : public TestWithParam<BadText> {};

TEST_P(RefusesBadText, NamingTheBadPartAndAllAllowedSettings) {
  Settings settings = Parse("k=99");
  const topk::Status status = ParseSettings(GetParam().text, settings);
  ASSERT_FALSE(status.ok()) << GetParam().text;
  EXPECT_EQ(status.code(), topk::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(GetParam().named), std::string::npos) << status.message();
  for (const topk::OptionField& field : topk::OptionFields()) {
    const std::string line = "\n  " + std::string(field.name) + ": ";
    EXPECT_NE(status.message().find(line), std::string::npos) << line;
    EXPECT_NE(status.message().find(field.range), std::string::npos) << field.range;
  }
  EXPECT_NE(status.message().find("dense_layers: integer, 0 to"), std::string::npos);
  EXPECT_EQ(FormatSettings(settings), FormatSettings(Parse("k=99"))) << "changed by a refused string";
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RefusesBadText,
    ValuesIn({BadText{"keys=3", "\"keys=3\""}, BadText{"k=1,top=3", "\"top=3\""}, BadText{"k", "\"k\""},
              BadText{"k=", "\"k=\""}, BadText{"k=0", "\"k=0\""}, BadText{"k=-1", "\"k=-1\""},
              BadText{"k=99999999999999999999", "\"k=99999999999999999999\""}, BadText{"k=12x", "\"k=12x\""},
              BadText{"temperature=0", "\"temperature=0\""}, BadText{"temperature=nan", "\"temperature=nan\""},
              BadText{"k=8,,window=1", "empty"}, BadText{"k=8,", "empty"}, BadText{",", "empty"},
              BadText{"=8", "\"=8\""}, BadText{"k@=8", "\"k@=8\""}, BadText{"k@x=8", "\"k@x=8\""},
              BadText{"k@3-1=8", "\"k@3-1=8\""}, BadText{"k@-1=8", "\"k@-1=8\""}, BadText{"k@1-=8", "\"k@1-=8\""},
              BadText{"k@1-2-3=8", "\"k@1-2-3=8\""}, BadText{"k@10000=8", "\"k@10000=8\""},
              BadText{"k@1=0", "\"k@1=0\""}, BadText{"nothing@1=0", "\"nothing@1=0\""},
              BadText{"dense_layers=-1", "\"dense_layers=-1\""}, BadText{"dense_layers=many", "\"dense_layers=many\""},
              BadText{"dense_layers@1=1", "takes no @"},
              BadText{"crossover=soon", "crossover is auto or 0 to 1073741824"},
              BadText{"crossover@2=-1", "crossover is auto or 0 to 1073741824"},
              BadText{"record=a.gguf", "which layer is missing"}, BadText{"record@0-1=a.gguf", "a file of its own"},
              BadText{"record@0=", "name of a file"}, BadText{"record_queries=0", "\"record_queries=0\""},
              BadText{"record_keys@3=8", "takes no @"}, BadText{"k=8;window=2", "\"k=8;window=2\""},
              // Each fine by itself, but not together, in one layer only.
              BadText{"min_mass=0.9,max_k=300,k@7=400", "layer 7"},
              BadText{"min_mass=0.9,max_k=300,k@7=auto", "layer 7"},
              BadText{"k=automatic", "k is auto or 1 to 1073741824"}}));

TEST(Validate, RefusesWhatTheTextFormCouldNotSay) {
  Settings settings;
  settings.options.k = 0;
  EXPECT_FALSE(settings.Validate().ok());
  settings = {};
  settings.dense_layers = -1;
  EXPECT_FALSE(settings.Validate().ok());
  EXPECT_TRUE(Settings().Validate().ok());
}

TEST(CheckLayers, NamesTheSettingOfALayerThatTheModelDoesNotHave) {
  EXPECT_TRUE(Parse("k=8,k@0-23=4,dense_layers=24,record@23=a.gguf").CheckLayers(24).ok());
  EXPECT_TRUE(Parse("k=8").CheckLayers(1).ok());
  for (const char* setting : {"k@24=4", "window@20-24=4", "dense_layers=25", "record@24=a.gguf"}) {
    const std::string message = Parse(std::string("k@3=9,") + setting + ",sinks@2=1").CheckLayers(24).message();
    EXPECT_EQ(message, std::string(setting) +
                           " is about layer 24, and the model has 24 layers, 0 to 23: name none but those, or leave it "
                           "out");
  }
}

TEST(SettingsHelp, ShowsTheDefaultOfEverySetting) {
  const std::string help = SettingsHelp();
  for (const topk::OptionField& field : topk::OptionFields()) {
    Settings settings;
    const std::string value = DefaultValue(field.name);
    ASSERT_TRUE(ParseSetting(std::string(field.name) + "=" + value, settings).ok()) << field.name;
    EXPECT_EQ(FormatSettings(settings), FormatSettings(Settings())) << field.name;
    const size_t line = help.find("\n  " + std::string(field.name) + ": ");
    ASSERT_NE(line, std::string::npos) << field.name;
    EXPECT_LT(help.find("(default " + value + ")", line), help.find('\n', line + 1)) << field.name;
  }
  EXPECT_EQ(DefaultValue("crossover"), "auto");
  EXPECT_EQ(DefaultValue("dense_layers"), "0");
  EXPECT_EQ(DefaultValue("colour"), "");
}

}  // namespace
}  // namespace qwen_infer
