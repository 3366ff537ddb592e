#include "eval/tasks/fit.h"

#include <gtest/gtest.h>

namespace qwen_infer::tasks {
namespace {

// A token for each word and blank; the model's is another, and as monotonic.
std::vector<Token> WordTokens(const Example& example) {
  std::string text;
  for (const Turn& shot : example.shots) text += shot.question + shot.answer + "\n";
  text += example.question + example.answer_start;
  std::vector<Token> tokens;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", at + 1), text.size());
    tokens.push_back(static_cast<Token>(std::hash<std::string>{}(text.substr(at, end - at)) & 0xFFFF));
    at = end;
  }
  return tokens;
}

Material Functions(int count) {
  Material material;
  for (int i = 0; i < count; ++i) {
    constexpr int kLetters = 26;
    PythonFunction& function = material.functions.emplace_back();
    function.name = "function_";
    function.name += static_cast<char>('a' + i / kLetters);
    function.name += static_cast<char>('a' + i % kLetters);
    function.description = "Returns the number " + std::to_string(i) + ", whatever happens.";
    function.code.append("def ").append(function.name).append("():\n    \"\"\"");
    function.code.append(function.description).append("\"\"\"\n    return 1");
    function.tokens = 20;
  }
  return material;
}

TEST(TaskFitTest, PromptAndAnswerAreAsLongAsTheyMayBe) {
  const Material material = Functions(200);
  for (const Task& task : Tasks()) {
    for (const int64_t length : {1024, 2000}) {
      Prompt prompt;
      ASSERT_TRUE(Fit(task, material, length, 3, WordTokens, prompt).ok()) << task.name;
      const auto tokens = static_cast<int64_t>(prompt.tokens.size());
      EXPECT_LE(tokens + task.answer_tokens, length) << task.name;
      EXPECT_GE(tokens + task.answer_tokens, length - 60) << task.name;
      EXPECT_EQ(prompt.tokens, WordTokens(prompt.example)) << task.name;
    }
  }
}

TEST(TaskFitTest, TheSameSeedFitsTheSame) {
  const Task& task = *FindTask("cwe");
  Prompt once;
  Prompt again;
  Prompt other;
  ASSERT_TRUE(Fit(task, {}, 1000, SeedOf(1, "cwe", 0), WordTokens, once).ok());
  ASSERT_TRUE(Fit(task, {}, 1000, SeedOf(1, "cwe", 0), WordTokens, again).ok());
  ASSERT_TRUE(Fit(task, {}, 1000, SeedOf(1, "cwe", 1), WordTokens, other).ok());
  EXPECT_EQ(once.tokens, again.tokens);
  EXPECT_NE(once.tokens, other.tokens);
}

TEST(TaskFitTest, ExamplesOfAllTasksAndRunsHaveSeedsOfTheirOwn) {
  EXPECT_NE(SeedOf(1, "vt", 0), SeedOf(1, "vt", 1));
  EXPECT_NE(SeedOf(1, "vt", 0), SeedOf(2, "vt", 0));
  EXPECT_NE(SeedOf(1, "vt", 0), SeedOf(1, "cwe", 0));
}

TEST(TaskFitTest, ALengthThatIsTooShortIsRefusedWithWhatItTakes) {
  Prompt prompt;
  const topk::Status status = Fit(*FindTask("cwe"), {}, 200, 1, WordTokens, prompt);
  EXPECT_EQ(status.message().find("--length 200 is too short for cwe: this example of it takes "), 0U)
      << status.message();
}

TEST(TaskFitTest, TooLittleCodeIsRefusedWithWhatThereIs) {
  Prompt prompt;
  const topk::Status status = Fit(*FindTask("code_retrieval"), Functions(5), 2048, 1, WordTokens, prompt);
  EXPECT_EQ(status.message().find("the code of --source is too little for --length 2048: all functions"), 0U)
      << status.message();
}

TEST(TaskFitTest, ACheckSaysOfEachExampleWhetherItFits) {
  const Material material = Functions(200);
  for (const Task& task : Tasks()) {
    int fit = 0;
    int do_not = 0;
    for (int64_t length = 10; length < 1000 && (fit == 0 || do_not == 0); length += 20) {
      for (int64_t index = 0; index < 4; ++index) {
        const uint64_t seed = SeedOf(1, task.name, index);
        Prompt prompt;
        const topk::Status status = Fit(task, material, length, seed, WordTokens, prompt);
        EXPECT_EQ(CheckFit(task, material, length, seed, WordTokens).message(), status.message());
        ++(status.ok() ? fit : do_not);
      }
    }
    EXPECT_GT(fit, 0) << task.name;
    EXPECT_GT(do_not, 0) << task.name;
  }
}

}  // namespace
}  // namespace qwen_infer::tasks
