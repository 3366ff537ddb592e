#include "topk/options.h"

#include <gtest/gtest.h>

#include <limits>

namespace topk {
namespace {

TEST(OptionsTest, EveryFieldReadsBackWhatItFormats) {
  TopKOptions options{.k = 33,
                      .temperature = 0.75F,
                      .sinks = 4,
                      .window = 64,
                      .min_mass = 0.9F,
                      .max_k = 999,
                      .dense_beyond_max_k = false,
                      .fallback = false,
                      .crossover = 1234,
                      .sparse = true,
                      .mass = MassMode::kExact,
                      .scan = ScanMode::kInt16};
  std::string text = FormatOptions(options) + ",";
  TopKOptions copy;
  size_t fields = 0;
  for (size_t at = 0; at < text.size(); ++fields) {
    const size_t comma = text.find(',', at);
    const std::string pair = text.substr(at, comma - at);
    const size_t equals = pair.find('=');
    ASSERT_TRUE(SetOption(copy, pair.substr(0, equals), pair.substr(equals + 1)).ok()) << pair;
    at = comma + 1;
  }
  EXPECT_EQ(fields, OptionFields().size());
  EXPECT_EQ(FormatOptions(copy), FormatOptions(options));
}

TEST(OptionsTest, TheTableShowsTheDefaults) {
  TopKOptions defaults;
  for (const OptionField& field : OptionFields()) {
    TopKOptions options;
    ASSERT_TRUE(SetOption(options, field.name, field.default_value).ok()) << field.name;
    EXPECT_EQ(FormatOptions(options), FormatOptions(defaults)) << field.name;
    EXPECT_FALSE(field.sentence.empty());
    EXPECT_EQ(field.off_sentence.empty(), field.type != "bool");
  }
}

TEST(OptionsTest, TheBudgetMayBeAuto) {
  TopKOptions options;
  ASSERT_TRUE(SetOption(options, "k", "auto").ok());
  EXPECT_EQ(options.k, kAutoBudget);
  EXPECT_TRUE(options.Validate().ok());
  EXPECT_EQ(FormatOptions(options).substr(0, 7), "k=auto,");
  EXPECT_EQ(options.BudgetFor(4096), AutoBudget(4096));
  EXPECT_EQ(TopKOptions{.k = 7}.BudgetFor(4096), 7);
  EXPECT_FALSE(SetOption(options, "sinks", "auto").ok());  // nothing else may

  options.min_mass = 0.9F;
  EXPECT_TRUE(options.Validate().ok());
  options.max_k = kMostAutoBudget - 1;
  EXPECT_EQ(options.Validate().message(),
            "max_k=511 is below 512, the most that k=auto stands for: with min_mass the budget grows from k to max_k");
}

TEST(OptionsTest, IgnoresBlanksAroundNamesAndValues) {
  TopKOptions options;
  ASSERT_TRUE(SetOption(options, " k ", " 7  ").ok());
  EXPECT_EQ(options.k, 7);
  EXPECT_FALSE(SetOption(options, "k", "  ").ok());
  EXPECT_FALSE(SetOption(options, "", "7").ok());
}

TEST(OptionsTest, RefusesBadValuesAndLeavesTheOptionsAlone) {
  const std::pair<const char*, const char*> bad[] = {{"k", "0"},
                                                     {"k", "-1"},
                                                     {"k", "Auto"},
                                                     {"k", "1e3"},
                                                     {"k", ""},
                                                     {"k", "99999999999999999999"},
                                                     {"temperature", "0"},
                                                     {"temperature", "nan"},
                                                     {"temperature", "inf"},
                                                     {"min_mass", "1.01"},
                                                     {"sinks", "-1"},
                                                     {"fallback", "maybe"},
                                                     {"mass", "some"},
                                                     {"scan", "int4"},
                                                     {"crossover", "x"}};
  for (const auto& [name, value] : bad) {
    TopKOptions options;
    const Status status = SetOption(options, name, value);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << name << "=" << value;
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    EXPECT_EQ(FormatOptions(options), FormatOptions(TopKOptions()));
  }
}

TEST(OptionsTest, AnUnknownNameListsTheKnownOnes) {
  TopKOptions options;
  const Status status = SetOption(options, "kk", "3");
  ASSERT_FALSE(status.ok());
  for (const OptionField& field : OptionFields()) {
    EXPECT_NE(status.message().find(field.name), std::string::npos) << status.message();
  }
}

TEST(OptionsTest, ValidatesStructsThatWereFilledByHand) {
  EXPECT_TRUE(TopKOptions().Validate().ok());
  EXPECT_FALSE((TopKOptions{.k = 0}.Validate().ok()));
  EXPECT_FALSE((TopKOptions{.temperature = std::numeric_limits<float>::quiet_NaN()}.Validate().ok()));
  EXPECT_FALSE((TopKOptions{.mass = static_cast<MassMode>(7)}.Validate().ok()));
  EXPECT_TRUE((TopKOptions{.scan = ScanMode::kInt16}.Validate().ok()));
  EXPECT_FALSE((TopKOptions{.scan = static_cast<ScanMode>(4)}.Validate().ok()));
  EXPECT_FALSE((TopKOptions{.k = 100, .min_mass = 0.5F, .max_k = 50}.Validate().ok()));
}

}  // namespace
}  // namespace topk
