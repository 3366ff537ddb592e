#include "chat_flags.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace qwen_infer {
namespace {

ChatFlags Parsed(std::vector<std::string_view> arguments, const char* environment = "model.gguf") {
  ChatFlags flags;
  const topk::Status status = ParseChatFlags(arguments, environment, flags);
  EXPECT_TRUE(status.ok()) << status.message();
  return flags;
}

std::string Refusal(std::vector<std::string_view> arguments, const char* environment = "model.gguf") {
  ChatFlags flags;
  return ParseChatFlags(arguments, environment, flags).message();
}

TEST(ChatFlagsTest, DefaultsAreThoseOfTheEngine) {
  const ChatFlags flags = Parsed({});
  const SamplingOptions sampling;
  EXPECT_EQ(flags.generation.sampling.temperature, sampling.temperature);
  EXPECT_EQ(flags.generation.sampling.top_p, sampling.top_p);
  EXPECT_EQ(flags.generation.sampling.top_k, sampling.top_k);
  EXPECT_EQ(flags.generation.sampling.min_p, sampling.min_p);
  EXPECT_EQ(flags.generation.sampling.repetition_penalty, sampling.repetition_penalty);
  EXPECT_FALSE(flags.generation.sampling.seed.has_value());
  EXPECT_EQ(flags.context_length, -1);
  EXPECT_TRUE(flags.flash_attention);
  EXPECT_FALSE(flags.reasoning.has_value());
}

TEST(ChatFlagsTest, UnderstandsTheSpellingsOfLlamaCli) {
  const ChatFlags flags = Parsed({"-m",  "a.gguf", "-c",   "4096",      "-n",
                                  "7",   "--temp", "0",    "--top-k=5", "-s",
                                  "9",   "-t",     "2",    "-sys",      "Be brief.",
                                  "-st", "-fa",    "on",   "-rea",      "off",
                                  "-r",  "User:",  "-ctk", "q8_0",      "--cache-type-v",
                                  "q8_0"});
  EXPECT_EQ(flags.model, "a.gguf");
  EXPECT_EQ(flags.context_length, 4096);
  EXPECT_EQ(flags.generation.max_new_tokens, 7);
  EXPECT_EQ(flags.generation.sampling.temperature, 0);
  EXPECT_EQ(flags.generation.sampling.top_k, 5);
  EXPECT_EQ(flags.generation.sampling.seed, 9U);
  EXPECT_EQ(flags.threads, 2);
  EXPECT_EQ(flags.system_prompt, "Be brief.");
  EXPECT_TRUE(flags.single_turn);
  EXPECT_EQ(flags.reasoning, false);
  EXPECT_EQ(flags.generation.stop, std::vector<std::string>{"User:"});
  EXPECT_EQ(flags.cache_type_k, "q8_0");
  EXPECT_EQ(Parsed({"--n-predict", "3", "--temperature", "1"}).generation.max_new_tokens, 3);
}

TEST(ChatFlagsTest, MinusOneIsNoLimitAndNoSeed) {
  const ChatFlags flags = Parsed({"-n", "-1", "-s", "3", "-s", "-1"});
  EXPECT_GT(flags.generation.max_new_tokens, 1 << 30);
  EXPECT_FALSE(flags.generation.sampling.seed.has_value());
}

TEST(ChatFlagsTest, TheModelMayComeFromTheEnvironment) {
  EXPECT_EQ(Parsed({}, "b.gguf").model, "b.gguf");
  EXPECT_EQ(Parsed({"-m", "a.gguf"}, "b.gguf").model, "a.gguf");
  EXPECT_EQ(Refusal({}, nullptr), "--model is missing: name a GGUF file");
}

TEST(ChatFlagsTest, NamesTheBadValueAndWhatIsAllowed) {
  EXPECT_EQ(Refusal({"--temp", "nan"}), "--temp: 'nan' is not a number from 0 to 100");
  EXPECT_EQ(Refusal({"--temp", "-1"}), "--temp: '-1' is not a number from 0 to 100");
  EXPECT_EQ(Refusal({"-c", "1e12"}),
            "--ctx_size: '1e12' is not an integer from 0 to 1073741824; 0: as many as the model was trained with");
  EXPECT_EQ(Refusal({"-ctk", "q4_0", "-ctv", "q4_0"}), "--cache_type_k: 'q4_0' is not f32, f16, bf16 or q8_0");
  EXPECT_EQ(Refusal({"-fa", "maybe"}), "--flash_attn: 'maybe' is not on, off or auto");
  EXPECT_EQ(Refusal({"-m"}), "-m needs a value: a file name");
  EXPECT_EQ(Refusal({"--single-turn=no"}), "--single-turn takes no value");
}

TEST(ChatFlagsTest, FlagsAboutAnswersMayChangeDuringAChat) {
  GenerateOptions options = Parsed({}).generation;
  for (const char* change : {"temp 0.25", "--top-k  3", "top_p 0.5", "min-p 0", "repeat-penalty 1.1", "n 9", "s 7"}) {
    EXPECT_TRUE(ChangeGeneration(change, options).ok()) << change;
  }
  EXPECT_EQ(ShowGeneration(options), "predict 9\ntemp 0.25\ntop_k 3\ntop_p 0.5\nmin_p 0\nrepeat_penalty 1.1\nseed 7\n");
  EXPECT_TRUE(ChangeGeneration("predict -1", options).ok());
  EXPECT_TRUE(ChangeGeneration("seed -1", options).ok());
  const std::string shown = ShowGeneration(options);
  EXPECT_TRUE(shown.starts_with("predict -1\n") && shown.ends_with("seed -1\n")) << shown;
}

TEST(ChatFlagsTest, ARefusedChangeChangesNothing) {
  GenerateOptions options = Parsed({"-n", "5"}).generation;
  const std::string before = ShowGeneration(options);
  const auto refusal = [&options](std::string_view change) { return ChangeGeneration(change, options).message(); };
  EXPECT_EQ(refusal("temp hot"), "--temp: 'hot' is not a number from 0 to 100");
  EXPECT_EQ(refusal("n 0"),
            "--predict: '0' is not an integer from 1 to 2147483647, or -1: as many as there is room for");
  EXPECT_EQ(refusal("top-p"), "top-p needs a value: a number from 0 to 1");
  for (const char* other : {"ctx_size 4", "colour red", "", "-"}) {
    EXPECT_NE(refusal(other).find("cannot be set; what can: predict, temp, top_k, top_p, min_p, repeat_penalty, seed"),
              std::string::npos)
        << other;
  }
  EXPECT_EQ(ShowGeneration(options), before);
}

TEST(ChatFlagsTest, RefusesWhatExcludesEachOther) {
  EXPECT_EQ(Refusal({"-ctk", "q8_0"}),
            "K in q8_0 and V in f16: chat keeps both in one type: give -ctk and -ctv the same");
  EXPECT_NE(Refusal({"-sys", "a", "-sysf", "b"}).find("leave one out"), std::string::npos);
}

TEST(ChatFlagsTest, AnUnknownFlagSuggestsTheNearest) {
  EXPECT_EQ(Refusal({"--sed", "1"}), "there is no flag --sed; did you mean --seed?");
  EXPECT_EQ(Refusal({"--mmproj", "x.gguf"}), "there is no flag --mmproj");
}

}  // namespace
}  // namespace qwen_infer
