#include "attention/options.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "shared/parsed.h"

namespace qwen_infer::attention_bench {
namespace {

TEST(OptionsTest, DefaultsAreThoseOfTheHelp) {
  const Options options = ParsedAs<Options>({});
  ASSERT_EQ(options.shapes.size(), 3U);
  EXPECT_EQ(options.shapes[1].n_head, 16);
  EXPECT_EQ(options.shapes[1].n_head_kv, 8);
  EXPECT_EQ(options.shapes[1].d, 128);
  EXPECT_EQ(options.keys, (std::vector<int64_t>{1024, 4096, 8192, 32768}));
  EXPECT_EQ(options.queries, (std::vector<int64_t>{1, 512}));
  EXPECT_EQ(options.types, std::vector<ggml_type>{GGML_TYPE_F16});
  EXPECT_EQ(options.k, 256);
  EXPECT_GE(options.threads, 1);
  EXPECT_EQ(options.seconds, 0.5);
  EXPECT_EQ(options.repeat, 3);
  EXPECT_GT(options.cold_bytes, 0);
  EXPECT_TRUE(options.json.empty());
  EXPECT_EQ(options.text.at("shapes"), "14:2:64,16:8:128,32:8:128");
  EXPECT_NE(FlagHelp().find("--shapes LIST"), std::string::npos);
  EXPECT_NE(FlagHelp().find("default 14:2:64,16:8:128,32:8:128"), std::string::npos);
}

TEST(OptionsTest, TakesDashesUnderscoresAndEquals) {
  EXPECT_EQ(ParsedAs<Options>({"--cold-bytes", "7"}).cold_bytes, 7);
  EXPECT_EQ(ParsedAs<Options>({"--cold_bytes=8"}).cold_bytes, 8);
  EXPECT_EQ(ParsedAs<Options>({"--threads=3"}).threads, 3);
  EXPECT_EQ(ParsedAs<Options>({"--json=a=b.json"}).json, "a=b.json");
}

TEST(OptionsTest, TheLastOfARepeatedFlagCounts) {
  const Options options = ParsedAs<Options>({"--keys", "512,1024", "--keys", "2048"});
  EXPECT_EQ(options.keys, std::vector<int64_t>{2048});
  EXPECT_EQ(options.text.at("keys"), "2048");
}

TEST(OptionsTest, ABadValueIsNamedWithWhatIsAllowed) {
  const std::vector<std::vector<std::string_view>> bad = {
      {"--shapes", "14:3:64"},
      {"--shapes", "14:2"},
      {"--shapes", "0:0:64"},
      {"--shapes", "4:2:1025"},
      {"--shapes", "4:2:64:1"},
      {"--shapes", ""},
      {"--keys", "1024,"},
      {"--keys", "0"},
      {"--keys", "16777217"},
      {"--queries", "-1"},
      {"--types", "q4_0"},
      {"--types", "F16"},
      {"--k", "0"},
      {"--threads", "0"},
      {"--threads", "1025"},
      {"--seconds", "nan"},
      {"--seconds", "-1"},
      {"--repeat", "0"},
      {"--repeat", "2.5"},
      {"--cold_bytes", "-1"},
      {"--cold_bytes", "64MiB"},
      {"--json", ""},
  };
  for (const auto& arguments : bad) {
    const std::string message = RefusalAs<Options>(arguments);
    EXPECT_TRUE(message.starts_with(std::string(arguments[0]) + ": '" + std::string(arguments[1]) + "' is not a"))
        << arguments[0] << " " << arguments[1] << ": " << message;
  }
}

TEST(OptionsTest, TheCommandHasWhatIsNotDefaultAndNoFiles) {
  EXPECT_EQ(CommandOf(ParsedAs<Options>({"--json", "a.json"})), "qwen-infer bench-attention");
  EXPECT_EQ(CommandOf(ParsedAs<Options>({"--repeat=5", "--csv=a.csv", "--keys", "1024", "--k", "256"})),
            "qwen-infer bench-attention --keys 1024 --repeat 5");
}

TEST(OptionsTest, AMissingValueIsAnError) {
  EXPECT_EQ(RefusalAs<Options>({"--k"}), "--k needs a value: an integer from 1 to 16777216");
  EXPECT_EQ(RefusalAs<Options>({"--k", "--repeat"}), "--k needs a value: an integer from 1 to 16777216");
}

TEST(OptionsTest, AnUnknownFlagSuggestsTheNearest) {
  EXPECT_EQ(RefusalAs<Options>({"--shape=4:2:64"}), "there is no flag --shape; did you mean --shapes?");
  EXPECT_EQ(RefusalAs<Options>({"-k"}), "there is no flag -k; did you mean --k?");
  EXPECT_EQ(RefusalAs<Options>({"model.gguf"}), "there is no flag model.gguf");
}

TEST(OptionsTest, ValuesThatExcludeEachOtherAreErrors) {
  EXPECT_NE(
      RefusalAs<Options>({"--queries", "512,300", "--keys", "128,256"}).find("--queries 300 is more than --keys 256"),
      std::string::npos);
  EXPECT_NE(RefusalAs<Options>({"--shapes", "4:2:40", "--types", "q8_0"}).find("multiples of 32"), std::string::npos);
}

TEST(OptionsTest, InputsSayWhatTheTensorsAreLike) {
  const Options options = ParsedAs<Options>({"--inputs", "a.gguf,folder/b.gguf", "--queries", "1"});
  EXPECT_EQ(options.inputs, (std::vector<std::string>{"a.gguf", "folder/b.gguf"}));
  EXPECT_TRUE(options.shapes.empty() && options.keys.empty() && options.types.empty());
  EXPECT_FALSE(options.text.contains("types"));
  EXPECT_EQ(CommandOf(options), "qwen-infer bench-attention --queries 1 --inputs a.gguf,folder/b.gguf");
  for (const std::string_view flag : {"--shapes=4:2:32", "--keys=1024", "--types=f16"}) {
    EXPECT_NE(RefusalAs<Options>({"--inputs=a.gguf", flag}).find(" is said by the files of --inputs"),
              std::string::npos)
        << flag;
  }
  EXPECT_NE(RefusalAs<Options>({"--inputs", "a.gguf,"}).find("--inputs: 'a.gguf,' is not a list of file names"),
            std::string::npos);
}

TEST(OptionsTest, CasesAreAllCombinations) {
  const std::vector<Case> cases = CasesOf(
      ParsedAs<Options>({"--shapes", "4:2:32,8:8:64", "--keys", "64,128", "--queries", "1,8", "--types", "f16,q8_0"}));
  ASSERT_EQ(cases.size(), 16U);
  EXPECT_EQ(cases.front().Name(), "1 query, 64 keys, heads 4:2:32, f16");
  EXPECT_EQ(cases.back().Name(), "8 queries, 128 keys, heads 8:8:64, q8_0");
}

TEST(OptionsTest, MoreQueriesThanKeysAreNoCase) {
  const std::vector<Case> cases = CasesOf(ParsedAs<Options>({"--shapes", "4:2:32", "--keys", "256,512"}));
  ASSERT_EQ(cases.size(), 3U);  // of 1 and 512 queries
  EXPECT_EQ(cases[0].Name(), "1 query, 256 keys, heads 4:2:32, f16");
  EXPECT_EQ(cases[2].Name(), "512 queries, 512 keys, heads 4:2:32, f16");
}

TEST(OptionsTest, VisibleKeysAreOneMoreDimension) {
  const std::vector<std::string_view> small = {"--shapes=4:2:32", "--keys=64,128", "--queries=1"};
  const auto with = [&small](std::string_view visible) {
    std::vector<std::string_view> all = small;
    all.push_back(visible);
    return all;
  };
  EXPECT_EQ(CasesOf(ParsedAs<Options>(with("--visible=all"))).size(), 2U);
  const std::vector<Case> cases = CasesOf(ParsedAs<Options>(with("--visible=8,64")));
  ASSERT_EQ(cases.size(), 4U);
  EXPECT_EQ(cases[1].Name(), "1 query, 64 keys, heads 4:2:32, f16, 64 visible");
  EXPECT_EQ(cases[1].VisiblePairs(), 4 * 64);
  EXPECT_NE(RefusalAs<Options>(with("--visible=65")).find("--visible 65 is more than the 64 keys up to the first of"),
            std::string::npos);
  EXPECT_NE(RefusalAs<Options>(with("--visible=0")).find("--visible: '0' is not all or a list"), std::string::npos);
}

TEST(CaseTest, VisiblePairsFollowTheCausalMask) {
  const Case four{.heads = {2, 1, 32}, .type = GGML_TYPE_F16, .n_query = 3, .n_key = 10};
  EXPECT_EQ(four.VisiblePairs(), 2 * (8 + 9 + 10));
  EXPECT_EQ(four.KeyBytes(), 10 * 32 * 2);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
