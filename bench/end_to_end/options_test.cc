#include "end_to_end/options.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "shared/parsed.h"

namespace qwen_infer::end_to_end_bench {
namespace {

TEST(EndToEndOptionsTest, DefaultsAreThoseOfTheHelp) {
  const Options options = ParsedAs<Options>({"-m", "a.gguf"});
  EXPECT_EQ(options.depths, (std::vector<int64_t>{0, 4096, 8192, 16384, 32768}));
  EXPECT_EQ(options.n_prompt, 512);
  EXPECT_EQ(options.n_gen, 32);
  EXPECT_EQ(options.repetitions, 3);
  EXPECT_GE(options.threads, 1);
  EXPECT_EQ(options.type_k, GGML_TYPE_F16);
  EXPECT_EQ(options.ContextSize(), 32768 + 512);
  EXPECT_NE(FlagHelp().find("-d, --n_depth LIST"), std::string::npos);
}

TEST(EndToEndOptionsTest, DepthsAscendAndComeOnce) {
  EXPECT_EQ(ParsedAs<Options>({"-m", "a", "-d", "512,0,512"}).depths, (std::vector<int64_t>{0, 512}));
}

TEST(EndToEndOptionsTest, TakesTheSpellingsOfLlamaBench) {
  const Options options =
      ParsedAs<Options>({"--model=a", "--n-prompt", "7", "-n", "900", "--cache-type-k", "q8_0", "-ctv", "bf16"});
  EXPECT_EQ(options.n_prompt, 7);
  EXPECT_EQ(options.type_k, GGML_TYPE_Q8_0);
  EXPECT_EQ(options.type_v, GGML_TYPE_BF16);
  EXPECT_EQ(options.ContextSize(), 32768 + 900);
}

TEST(EndToEndOptionsTest, CommandHasWhatIsNotDefaultAndNoFolders) {
  EXPECT_EQ(CommandOf(ParsedAs<Options>({"-m", "/home/me/a.gguf", "-t", "2", "-r", "3", "--json", "x.json"})),
            "qwen-infer bench --compare --model a.gguf --threads 2");
}

TEST(EndToEndOptionsTest, NamesWhatIsWrong) {
  EXPECT_EQ(RefusalAs<Options>({}), "--model is missing: name a GGUF file");
  EXPECT_EQ(RefusalAs<Options>({"-m", "a", "-d", "1,-1"}),
            "--n_depth: '1,-1' is not a list of integers from 0 to 16777216");
  EXPECT_EQ(RefusalAs<Options>({"-m", "a", "-ctk", "q2_k"}),
            "--cache_type_k: 'q2_k' is not f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 or iq4_nl");
  EXPECT_EQ(RefusalAs<Options>({"-m", "a", "--repetition", "2"}),
            "there is no flag --repetition; did you mean --repetitions?");
  EXPECT_EQ(RefusalAs<Options>({"-m", "a", ""}), "there is no flag ");
}

}  // namespace
}  // namespace qwen_infer::end_to_end_bench
