#include "options.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace qwen_infer::inspect {
namespace {

topk::Status Parsed(std::vector<std::string_view> more, Options& options) {
  std::vector<std::string_view> arguments = {"-m", "a.gguf", "--prompt-file", "a.txt", "--html", "a.html"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return ParseOptions(arguments, nullptr, options);
}

TEST(InspectOptionsTest, DefaultsAreOneSettingAndWhatFits) {
  Options options;
  ASSERT_TRUE(Parsed({}, options).ok());
  ASSERT_EQ(options.settings.size(), 1U);
  EXPECT_EQ(options.settings[0].name, "k=256");
  EXPECT_EQ(options.settings[0].settings.options.crossover, 0);
  EXPECT_TRUE(options.layers.empty());
  EXPECT_EQ(options.strongest, 0);
  EXPECT_EQ(options.max_megabytes, 128);
}

TEST(InspectOptionsTest, ReadsSettingsAndLayers) {
  Options options;
  ASSERT_TRUE(Parsed({"--setting", "k=9", "--setting", "k=10,sinks=4", "--layers", "0,4-6"}, options).ok());
  ASSERT_EQ(options.settings.size(), 2U);
  EXPECT_EQ(options.settings[1].settings.options.sinks, 4);
  ASSERT_EQ(options.layers.size(), 2U);
  EXPECT_EQ(options.layers[0].last, 0);
  EXPECT_EQ(options.layers[1].first, 4);
  EXPECT_EQ(options.layers[1].last, 6);
}

TEST(InspectOptionsTest, RefusesWhatMakesNoSense) {
  const auto refusal = [](std::vector<std::string_view> more) {
    Options options;
    return Parsed(std::move(more), options).message();
  };
  EXPECT_NE(refusal({"--layers", "6-4"}).find("'6-4' is not a list of layers like 0,4-9"), std::string::npos);
  EXPECT_NE(refusal({"--layers", "x"}).find("is not a list of layers"), std::string::npos);
  EXPECT_NE(refusal({"--strongest", "0"}).find("an integer from 1 to 256"), std::string::npos);
  EXPECT_NE(refusal({"--setting", "k=1", "--setting", "k=2", "--setting", "k=3"}).find("there are 3 --setting"),
            std::string::npos);
  EXPECT_NE(refusal({"--setting", "k=1", "--setting", "k=1"}).find("is there twice"), std::string::npos);
  EXPECT_NE(refusal({"--json", "a.html"}).find("both name a.html"), std::string::npos);
  EXPECT_NE(refusal({"--top_k_attention_k", "9"}).find("--setting k=128,sinks=4"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer::inspect
