#include "eval/tune/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace qwen_infer::tune {
namespace {

using Arguments = std::vector<std::string_view>;

Options Parsed(const Arguments& arguments) {
  Options options;
  const topk::Status status = ParseOptions(arguments, nullptr, options);
  EXPECT_TRUE(status.ok()) << status.message();
  return options;
}

std::string Refusal(Arguments arguments) {
  for (const std::string_view flag : {"-m", "a.gguf", "-f", "text", "-o", "p.json"}) arguments.push_back(flag);
  Options options;
  return ParseOptions(arguments, nullptr, options).message();
}

TEST(TuneOptionsTest, ReadsEachAim) {
  const Options budget = Parsed({"-m", "a", "-f", "t", "-o", "p", "--budget", "128"});
  EXPECT_EQ(budget.aim, Aim::kBudget);
  EXPECT_EQ(budget.value, 128);
  EXPECT_FALSE(budget.layers_only);
  EXPECT_TRUE(Parsed({"-m", "a", "-f", "t", "-o", "p", "--budget", "128", "--layers_only"}).layers_only);
  EXPECT_EQ(budget.window, 4096);
  EXPECT_EQ(budget.Scored(), (eval::Positions{2048, 4096}));
  const Options mass = Parsed({"-m", "a", "-f", "t", "-o", "p", "--min-mass=0.9"});
  EXPECT_EQ(mass.aim, Aim::kMass);
  EXPECT_EQ(mass.value, 0.9);
  const Options increase = Parsed({"-m", "a", "-f", "t", "-o", "p", "--max_ppl_increase", "0.1%"});
  EXPECT_EQ(increase.aim, Aim::kPerplexityIncrease);
  EXPECT_DOUBLE_EQ(increase.value, 0.001);
  EXPECT_EQ(AimText(increase), "--max_ppl_increase 0.1%");
}

TEST(TuneOptionsTest, CommandMeasuresTheSame) {
  EXPECT_EQ(CommandOf(Parsed({"-m", "/home/me/a.gguf", "-f", "t", "-o", "/home/me/p.json", "--budget", "64", "--work",
                              "w", "--layers_only", "--windows", "2"})),
            "qwen-infer tune --model a.gguf --budget 64 --layers_only --windows 2 --file t --output p.json");
}

TEST(TuneOptionsTest, NamesWhatIsWrong) {
  EXPECT_EQ(Refusal({}), "the aim is missing: give one of --budget 128, --min_mass 0.9 and --max_ppl_increase 0.1%");
  EXPECT_EQ(Refusal({"--budget", "128", "--min_mass", "0.9"}),
            "there is more than one aim: give one of --budget 128, --min_mass 0.9 and --max_ppl_increase 0.1%");
  EXPECT_EQ(Refusal({"--budget", "8"}), "--budget: '8' is not an integer from 16 to 1024");
  EXPECT_EQ(Refusal({"--min_mass", "nan"}), "--min_mass: 'nan' is not a number above 0, up to 1");
  EXPECT_EQ(Refusal({"--min_mass", "0"}), "--min_mass: '0' is not a number above 0, up to 1");
  EXPECT_EQ(Refusal({"--max_ppl_increase", "0.1"}),
            "--max_ppl_increase: '0.1' is not a percentage above 0%, up to 100%");
  EXPECT_EQ(Refusal({"--budget", "64", "--window", "64"}), "--probe 128 must be less than --window 64 by 18 or more");
  EXPECT_EQ(Refusal({"--budget", "64", "--top_k_attention_k", "9"}),
            "--top_k_attention_k: tune finds the settings itself; leave it out");
  Options options;
  EXPECT_EQ(ParseOptions(Arguments{"-m", "a", "-f", "t", "--budget", "64"}, nullptr, options).message(),
            "--output is missing: name the file for the profile");
}

}  // namespace
}  // namespace qwen_infer::tune
