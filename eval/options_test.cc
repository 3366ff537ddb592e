#include "options.h"

#include <gtest/gtest.h>

namespace qwen_infer::eval {
namespace {

using Arguments = std::vector<std::string_view>;

Options Parsed(const Arguments& arguments, const char* environment = nullptr) {
  Options options;
  const topk::Status status = ParseOptions(arguments, environment, options);
  EXPECT_TRUE(status.ok()) << status.message();
  return options;
}

std::string Refusal(const Arguments& arguments) {
  Options options;
  return ParseOptions(arguments, nullptr, options).message();
}

TEST(EvalOptionsTest, DefaultsAreThoseOfTheHelp) {
  const Options options = Parsed({"-m", "a.gguf", "-f", "text"});
  EXPECT_EQ(options.windows, 8);
  EXPECT_EQ(options.window, 4096);
  EXPECT_EQ(options.Scored(), (Positions{2048, 4096}));
  EXPECT_EQ(options.cache_type, "f16");
  EXPECT_EQ(options.seed, 1U);
  EXPECT_EQ(options.output, "qwen-infer-eval");
  ASSERT_EQ(options.settings.size(), 4U);
  EXPECT_EQ(options.settings[0].name, "k=32");
  EXPECT_EQ(options.settings[3].settings.options.k, 256);
}

TEST(EvalOptionsTest, SettingsSpeakTheLanguageOfTheSettingsString) {
  const Options options =
      Parsed({"-m", "a", "-f", "t", "--setting", "k=64", "--setting", " k=128, sinks=4,k@0-1=1024", "--setting=k=8,"});
  ASSERT_EQ(options.settings.size(), 3U);
  EXPECT_EQ(options.settings[1].name, "k=128, sinks=4,k@0-1=1024");
  EXPECT_EQ(options.settings[1].settings.options.sinks, 4);
  EXPECT_EQ(options.settings[1].settings.ForLayer(1, 4096).k, 1024);
  EXPECT_EQ(options.settings[2].name, "k=8");
}

TEST(EvalOptionsTest, NoRowIsLeftToFullAttentionUnlessASettingSaysSo) {
  const Options options = Parsed({"-m", "a", "-f", "t", "--setting", "k=64", "--setting", "k=64,crossover=auto"});
  EXPECT_FALSE(options.settings[0].settings.auto_crossover);
  EXPECT_EQ(options.settings[0].settings.options.crossover, 0);
  EXPECT_TRUE(options.settings[1].settings.auto_crossover);
}

TEST(EvalOptionsTest, FilesAddUpAndTheModelMayComeFromTheEnvironment) {
  const Options options =
      Parsed({"-f", "a", "--file", "b", "--suffix", ".py,.rst", "--skip", "0", "-c", "64"}, "m.gguf");
  EXPECT_EQ(options.model, "m.gguf");
  EXPECT_EQ(options.paths, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.suffixes, (std::vector<std::string>{".py", ".rst"}));
  EXPECT_EQ(options.Scored(), (Positions{1, 64}));
}

TEST(EvalOptionsTest, CommandMeasuresTheSame) {
  EXPECT_EQ(CommandOf(Parsed({"-m", "/home/me/a.gguf", "-f", "/usr/lib/python3", "-o", "out", "--restart"})),
            "qwen-infer eval --model a.gguf --file /usr/lib/python3");
  EXPECT_EQ(CommandOf(Parsed({"-m", "a", "-f", "t", "-f", "u", "--setting", "k=2", "--setting", "k=3", "--seed", "9"})),
            "qwen-infer eval --model a --seed 9 --file t --file u --setting k=2 --setting k=3");
}

TEST(EvalOptionsTest, NamesWhatIsWrong) {
  EXPECT_EQ(Refusal({"-f", "t"}), "--model is missing: name a GGUF file");
  EXPECT_EQ(Refusal({"-m", "a"}), "--file is missing: name a file or folder with text to read");
  EXPECT_EQ(Refusal({"-m", "a", "-f", "t", "--window", "1"}), "--window: '1' is not an integer from 2 to 16777216");
  EXPECT_EQ(Refusal({"-m", "a", "-f", "t", "--window", "64", "--skip", "64"}),
            "--skip 64 leaves nothing of a window of 64 tokens: lower it, or raise --window");
  EXPECT_EQ(Refusal({"-m", "a", "-f", "t", "--seting", "k=1"}), "there is no flag --seting; did you mean --setting?");
  EXPECT_EQ(Refusal({"-m", "a", "-f", "t", "--top_k_attention_k", "64"}),
            "--top_k_attention_k: eval compares settings; write them as --setting k=128,sinks=4");
  EXPECT_EQ(Refusal({"-m", "a", "-f", "t", "--setting", "k=1", "--setting", "k=1 "}),
            "--setting k=1 is there twice: leave one out");
  EXPECT_EQ(Refusal({"-m", "a", "-f", "t", "--setting", "record@3=x"}),
            "--setting record@3=x: eval records nothing; leave record@N=FILE out");
  const std::string bad = Refusal({"-m", "a", "-f", "t", "--setting", "k=0"});
  EXPECT_TRUE(bad.starts_with("--setting k=0: bad top-k attention setting \"k=0\": ")) << bad;
}

}  // namespace
}  // namespace qwen_infer::eval
