#include "flags.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "help.h"
#include "profile.h"
#include "settings.h"
#include "topk/options.h"

namespace qwen_infer {
namespace {

topk::Status Parse(std::vector<std::string_view> arguments, CommandLine& out) {
  return ParseCommandLine(arguments, out);
}

CommandLine ParseOrFail(std::vector<std::string_view> arguments) {
  CommandLine line;
  const topk::Status status = ParseCommandLine(arguments, line);
  EXPECT_TRUE(status.ok()) << status.message();
  return line;
}

std::string ErrorOf(std::vector<std::string_view> arguments) {
  CommandLine line;
  return ParseCommandLine(arguments, line).message();
}

void ExpectContains(const std::string& text, std::string_view part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in '" << text << "'";
}

TEST(FlagsTest, LeavesEverythingElseToLlamaInOrder) {
  const CommandLine line = ParseOrFail({"-m", "model.gguf", "--use_top_k_attention", "--top-k", "40", "-p", "a=b"});
  EXPECT_EQ(line.llama, (std::vector<std::string>{"-m", "model.gguf", "--top-k", "40", "-p", "a=b"}));
  EXPECT_TRUE(line.use_top_k_attention);
}

TEST(FlagsTest, UnderscoresAndDashesAndEqualsMeanTheSame) {
  for (const auto& arguments :
       std::initializer_list<std::vector<std::string_view>>{{"--use_top_k_attention", "--top_k_attention_k", "32"},
                                                            {"--use-top-k-attention", "--top-k-attention-k", "32"},
                                                            {"--use-top-k-attention", "--top_k_attention_k=32"},
                                                            {"--top-k_attention-k=32", "--use_top-k_attention"}}) {
    const CommandLine line = ParseOrFail(arguments);
    EXPECT_TRUE(line.use_top_k_attention);
    EXPECT_TRUE(line.llama.empty());
    EXPECT_EQ(line.settings.options.k, 32);
  }
}

TEST(FlagsTest, TheBudgetMayBeAutoAndThatOfALayerToo) {
  const CommandLine line = ParseOrFail(
      {"--use_top_k_attention", "--top_k_attention_k", "auto", "--top_k_attention_layers", "k@2=64,k@3-4=auto"});
  EXPECT_EQ(line.settings.ForLayer(0, 4096).k, topk::kAutoBudget);
  EXPECT_EQ(line.settings.ForLayer(2, 4096).k, 64);
  EXPECT_EQ(line.settings.ForLayer(4, 4096).k, topk::kAutoBudget);
}

TEST(FlagsTest, EveryOptionOfTheLibraryIsAFlag) {
  for (const topk::OptionField& field : topk::OptionFields()) {
    const bool found = std::any_of(TopKFlags().begin(), TopKFlags().end(),
                                   [&](const Flag& flag) { return flag.setting == field.name; });
    EXPECT_TRUE(found) << field.name;
    // Help describes the direction that the switch takes.
    ExpectContains(TopKHelp(), field.default_value == "on" ? field.off_sentence : field.sentence);
  }
}

TEST(FlagsTest, EveryDefaultThatHelpShowsIsThePluginsDefault) {
  Settings settings;
  for (const Flag& flag : TopKFlags()) {
    if (flag.kind != Flag::Kind::kSetting) continue;
    ASSERT_TRUE(ParseSettings(flag.setting + "=" + flag.default_value, settings).ok()) << flag.name;
  }
  EXPECT_EQ(FormatSettings(settings), FormatSettings(Settings()));
}

TEST(FlagsTest, SwitchesTakeNoValueButAnEqualsSign) {
  EXPECT_TRUE(ParseOrFail({"--use_top_k_attention", "--top_k_attention_sparse"}).settings.options.sparse);
  EXPECT_FALSE(ParseOrFail({"--use_top_k_attention", "--top_k_attention_sparse=off"}).settings.options.sparse);
  EXPECT_FALSE(ParseOrFail({"--use_top_k_attention", "--top_k_attention_no_sparse"}).settings.options.sparse);
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_sparse=maybe"}), "'maybe' is not on or off");
}

TEST(FlagsTest, NoFallbackIsTheOppositeOfFallback) {
  for (const char* flag :
       {"--top_k_attention_no_fallback", "--top-k-attention-no-fallback=true", "--top_k_attention_fallback=off"}) {
    const CommandLine line = ParseOrFail({"--use_top_k_attention", flag});
    EXPECT_FALSE(line.settings.options.fallback) << flag;
  }
  EXPECT_TRUE(ParseOrFail({"--use_top_k_attention", "--top_k_attention_fallback"}).settings.options.fallback);
}

TEST(FlagsTest, LaterFlagsOverrideEarlierOnes) {
  const CommandLine line =
      ParseOrFail({"--use_top_k_attention", "--top_k_attention_k", "32", "--top_k_attention_k", "64"});
  EXPECT_EQ(line.settings.options.k, 64);
}

TEST(FlagsTest, SettingsOfSingleLayersReachThoseLayers) {
  const CommandLine line = ParseOrFail({"--use_top_k_attention", "--top_k_attention_k=64", "--top_k_attention_layers",
                                        "k@0-1=1024,sinks@3=8", "--top_k_attention_dense_layers", "1"});
  const Settings settings = line.settings;
  EXPECT_EQ(settings.dense_layers, 1);
  EXPECT_EQ(settings.ForLayer(1, 4096).k, 1024);
  EXPECT_EQ(settings.ForLayer(2, 4096).k, 64);
  EXPECT_EQ(settings.ForLayer(3, 4096).sinks, 8);
}

TEST(FlagsTest, BadValuesAreNamedWithTheirRange) {
  const std::string message = ErrorOf({"--use_top_k_attention", "--top_k_attention_k", "0"});
  ExpectContains(message, "--top_k_attention_k");
  ExpectContains(message, "'0'");
  ExpectContains(message, "1 to 1073741824");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_temperature=hot"}),
                 "'hot' is not a number from 0.001 to 1000");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_mass=all"}), "off, sampled or exact");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_dense_layers=-1"}), "dense_layers");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_layers", "k=5"}), "'k=5'");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_layers", "k@5-2=5"}), "k@5-2=5");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_layers", "k@3=1,k@5=0"}), "'k@5=0'");
}

TEST(FlagsTest, ErrorsNameTheFlagAndNotThePluginsSetting) {
  for (const auto& arguments : std::initializer_list<std::vector<std::string_view>>{
           {"--top_k_attention_dense_layers=x"},
           {"--top_k_attention_layers=k@a=1"},
           {"--top_k_attention_layers=colour@3=1"},
           {"--top_k_attention_min_mass=0.9", "--top_k_attention_k=512", "--top_k_attention_max_k=256"}}) {
    std::vector<std::string_view> with_use = {"--use_top_k_attention"};
    with_use.insert(with_use.end(), arguments.begin(), arguments.end());
    const std::string_view flag = arguments.back().substr(0, arguments.back().find('='));
    EXPECT_EQ(ErrorOf(with_use).find(flag), 0U) << ErrorOf(with_use);
  }
}

TEST(FlagsTest, AValueCannotSmuggleInOtherSettings) {
  EXPECT_FALSE(ErrorOf({"--use_top_k_attention", "--top_k_attention_k=32,sinks=4"}).empty());
  EXPECT_FALSE(ErrorOf({"--use_top_k_attention", "--top_k_attention_dense_layers=1,k=3"}).empty());
  EXPECT_FALSE(ErrorOf({"--use_top_k_attention", "--top_k_attention_layers=k@3=4,k=3"}).empty());
}

TEST(FlagsTest, ValuesThatExcludeEachOtherAreRefused) {
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_min_mass=0.9", "--top_k_attention_k=512",
                          "--top_k_attention_max_k=256"}),
                 "max_k");
}

TEST(FlagsTest, ErrorsAreOneLine) {
  for (const auto& arguments : std::initializer_list<std::vector<std::string_view>>{
           {"--use_top_k_attention", "--top_k_attention_dense_layers=x"},
           {"--use_top_k_attention", "--top_k_attention_layers=k@a=1"}}) {
    const std::string message = ErrorOf(arguments);
    EXPECT_FALSE(message.empty());
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(FlagsTest, AMissingValueIsAnError) {
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_k"}), "needs a value: auto or 1 to 1073741824");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_k", "--top_k_attention_sinks", "4"}),
                 "--top_k_attention_k needs a value");
  ExpectContains(ErrorOf({"--top_k_attention_stats"}), "needs a value: FILE.json");
  ExpectContains(ErrorOf({"--top_k_attention_stats="}), "needs a file name");
}

TEST(FlagsTest, AnUnknownFlagOfOursSuggestsTheNearest) {
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_temprature", "1"}),
                 "did you mean --top_k_attention_temperature?");
  for (const char* flag : {"--top_k_attention_banana", "--top_k_attention_colour=3"}) {
    const std::string message = ErrorOf({"--use_top_k_attention", flag});
    EXPECT_EQ(message.find("did you mean"), std::string::npos) << message;
  }
  ExpectContains(ErrorOf({"--use_top_k_attentions"}), "did you mean --use_top_k_attention?");
  EXPECT_FALSE(ErrorOf({"--top_k_attention"}).empty());
}

TEST(FlagsTest, SettingsWithoutTheUseFlagAreAnError) {
  ExpectContains(ErrorOf({"--top_k_attention_k", "32"}), "add --use_top_k_attention");
  ExpectContains(ErrorOf({"--top_k_attention_sparse"}), "--top_k_attention_sparse has no effect");
  ExpectContains(ErrorOf({"--use_top_k_attention=off", "--top_k_attention_k=32"}), "add --use_top_k_attention");
}

TEST(FlagsTest, StatisticsAreAlsoForFullAttention) {
  EXPECT_EQ(ParseOrFail({"--top_k_attention_stats", "s.json"}).statistics_path, "s.json");
}

TEST(FlagsTest, FlashAttentionIsForcedOn) {
  for (const auto& given : std::initializer_list<std::vector<std::string>>{
           {}, {"-fa", "on"}, {"--flash-attn", "auto"}, {"--flash_attn", "1"}, {"-fa", "enabled"}}) {
    std::vector<std::string> llama = {"-m", "x"};
    llama.insert(llama.end(), given.begin(), given.end());
    ASSERT_TRUE(ForceFlashAttention("on", "auto", llama).ok());
    EXPECT_EQ(llama, (std::vector<std::string>{"-fa", "on", "-m", "x"}));
  }
}

TEST(FlagsTest, TheForcedPairDoesNotBecomeTheValueOfAnotherFlag) {
  std::vector<std::string> llama = {"-m"};
  ASSERT_TRUE(ForceFlashAttention("on", nullptr, llama).ok());
  EXPECT_EQ(llama, (std::vector<std::string>{"-fa", "on", "-m"}));
}

TEST(FlagsTest, AskingForAttentionWithoutFlashIsAnError) {
  for (const char* flag : {"-fa", "--flash-attn", "--flash_attn"}) {
    for (const char* value : {"off", "0", "false", "disabled", "on,off", "0,1"}) {
      std::vector<std::string> llama = {flag, value};
      const topk::Status status = ForceFlashAttention("on", nullptr, llama);
      EXPECT_FALSE(status.ok()) << flag << " " << value;
      ExpectContains(status.message(), std::string(flag) + " " + value);
      const bool is_list = std::string_view(value).find(',') != std::string_view::npos;
      ExpectContains(status.message(), is_list ? "make two runs" : "leave one of the two out");
    }
    std::vector<std::string> llama = {std::string(flag) + "=off"};
    const topk::Status status = ForceFlashAttention("on", nullptr, llama);
    EXPECT_FALSE(status.ok()) << flag;
    ExpectContains(status.message(), std::string(flag) + "=off turns flash attention off");
  }
  std::vector<std::string> llama;
  EXPECT_FALSE(ForceFlashAttention("on", "off", llama).ok());
  EXPECT_FALSE(ForceFlashAttention("on", "0", llama).ok());
}

TEST(FlagsTest, AnUnknownFlashAttentionValueIsLeftForLlamaToRefuse) {
  for (const auto& given :
       std::initializer_list<std::vector<std::string>>{{"-fa", "maybe"}, {"-fa=on"}, {"-fa=maybe"}, {"-fa"}}) {
    std::vector<std::string> llama = given;
    ASSERT_TRUE(ForceFlashAttention("on", nullptr, llama).ok());
    std::vector<std::string> expected = {"-fa", "on"};
    expected.insert(expected.end(), given.begin(), given.end());
    EXPECT_EQ(llama, expected);
  }
}

TEST(FlagsTest, ReadsTheLastValueOfALlamaFlag) {
  const std::vector<std::string> llama = {"-m", "a", "--model", "b", "-h"};
  constexpr std::string_view kModel[] = {"-m", "--model"};
  EXPECT_EQ(LlamaFlagValue(llama, kModel), "b");
  EXPECT_TRUE(HasLlamaFlag(llama, kHelpFlags));
  CommandLine line;
  EXPECT_TRUE(Parse({"-m", "a"}, line).ok());
  EXPECT_FALSE(HasLlamaFlag(line.llama, kHelpFlags));
}

// A file with a profile that has these settings.
std::string ProfileWith(const std::string& settings) {
  const std::string path = ::testing::TempDir() + "flags_test_profile.json";
  Profile profile;
  profile.model.name = "a.gguf";
  profile.model.layers = {{4, 2, 64}};
  profile.settings = settings;
  std::ofstream(path) << FormatProfile(profile, nlohmann::ordered_json::object());
  return path;
}

TEST(FlagsTest, FlagsWinOverAProfileWhereverItStands) {
  const std::string path = ProfileWith("k=128,k@0=200,sinks=4");
  for (const auto& arguments : std::initializer_list<std::vector<std::string_view>>{
           {"--use_top_k_attention", "--top_k_attention_profile", path, "--top_k_attention_k", "64"},
           {"--top-k-attention-k=64", "--use_top_k_attention", "--top-k-attention-profile", path}}) {
    const CommandLine line = ParseOrFail(arguments);
    EXPECT_EQ(line.settings.ForLayer(0, 4096).k, 64);
    EXPECT_EQ(line.settings.ForLayer(0, 4096).sinks, 4);
    ASSERT_NE(line.settings.made_for, nullptr);
    Settings again;
    ASSERT_TRUE(ParseSettings(line.settings_text, again).ok());
    EXPECT_EQ(FormatSettings(again), FormatSettings(line.settings));
  }
}

TEST(FlagsTest, AProfileThatIsNoneIsNamed) {
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_profile", "missing.json"}),
                 "--top_k_attention_profile: cannot use the profile missing.json: there is no such file");
  ExpectContains(ErrorOf({"--use_top_k_attention", "--top_k_attention_profile", "a,b"}),
                 "'a,b' is not a file name without commas");
  ExpectContains(ErrorOf({"--top_k_attention_profile", ProfileWith("k=9")}), "has no effect on full attention");
}

}  // namespace
}  // namespace qwen_infer
