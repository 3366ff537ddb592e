#include "eval/tasks/options.h"

#include <gtest/gtest.h>

namespace qwen_infer::tasks {
namespace {

using Arguments = std::vector<std::string_view>;

Options Parsed(const Arguments& arguments) {
  Options options;
  const topk::Status status = ParseOptions(arguments, nullptr, options);
  EXPECT_TRUE(status.ok()) << status.message();
  return options;
}

std::string Refusal(const Arguments& arguments) {
  Options options;
  return ParseOptions(arguments, nullptr, options).message();
}

TEST(TaskOptionsTest, DefaultsAreThoseOfTheHelp) {
  const Options options = Parsed({"-m", "a.gguf"});
  ASSERT_EQ(options.tasks.size(), 8U);
  EXPECT_EQ(options.tasks[0]->name, "passkey");
  EXPECT_EQ(options.tasks[7]->name, "fwe");
  EXPECT_EQ(options.length, 4096);
  EXPECT_EQ(options.examples, 10);
  EXPECT_EQ(options.seed, 1U);
  EXPECT_EQ(options.cache_type, "f16");
  EXPECT_EQ(options.output, "qwen-infer-tasks");
  ASSERT_EQ(options.settings.size(), 2U);
  EXPECT_EQ(options.settings[1].settings.options.k, 256);
}

TEST(TaskOptionsTest, TheModelMayComeFromTheEnvironment) {
  Options options;
  ASSERT_TRUE(ParseOptions(Arguments{}, "b.gguf", options).ok());
  EXPECT_EQ(options.model, "b.gguf");
}

TEST(TaskOptionsTest, TheCommandRepeatsTheRunWithoutFoldersOfTheUser) {
  EXPECT_EQ(CommandOf(Parsed({"-m", "/home/a.gguf", "--task", "cwe,vt", "-c", "1024", "-n", "3", "--setting", "k=8",
                              "--file", "t.txt", "--source", "lib", "-o", "out", "--restart"})),
            "qwen-infer eval-tasks --model a.gguf --task cwe,vt --length 1024 --examples 3 --file t.txt --source lib "
            "--setting k=8");
}

TEST(TaskOptionsTest, MistakesAreNamed) {
  EXPECT_EQ(Refusal({}), "--model is missing: name a GGUF file");
  EXPECT_EQ(Refusal({"-m", "a", "--task", "cwe,cwe"}), "--task names cwe twice: leave one out");
  EXPECT_NE(Refusal({"-m", "a", "--task", "niah"}).find("--task: 'niah' is not a list of tasks"), std::string::npos)
      << Refusal({"-m", "a", "--task", "niah"});
  EXPECT_EQ(Refusal({"-m", "a", "--task", "code_retrieval"}),
            "--source is missing: code_retrieval needs a file or folder with Python code");
  EXPECT_EQ(Refusal({"-m", "a", "--top_k_attention_k", "9"}),
            "--top_k_attention_k: eval-tasks compares settings; write them as --setting k=128,sinks=4");
  EXPECT_NE(Refusal({"-m", "a", "-n", "0"}), "");
  EXPECT_NE(Refusal({"-m", "a", "--length", "63"}), "");
}

}  // namespace
}  // namespace qwen_infer::tasks
