#include "eval/tasks/state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace qwen_infer::tasks {
namespace {

namespace fs = std::filesystem;

TEST(TaskStateTest, EveryExampleComesBackToTheRunThatSavedItOnly) {
  const std::string path = (fs::temp_directory_path() / ("task-state-test-" + std::to_string(getpid()))).string();
  const eval::RunIdentity run = {{"model", "1f"}, {"length", "64"}};
  const std::vector<Result> results = {
      {.task = "vt",
       .index = 7,
       .prompt_tokens = 60,
       .references = {"a", "b"},
       .ways = {{.answer = " a\xC3", .score = 0.5, .seconds = 1.25},
                {.answer = "", .score = 0, .seconds = 2, .attention = {.rows = 3, .keys_kept = 5, .mass_sum = 0.3}}}}};
  ASSERT_TRUE(SaveState(path, run, results).ok());
  std::vector<Result> loaded;
  ASSERT_TRUE(LoadState(path, run, loaded).ok());
  ASSERT_EQ(loaded.size(), 1U);
  EXPECT_EQ(loaded[0].task, "vt");
  EXPECT_EQ(loaded[0].index, 7);
  EXPECT_EQ(loaded[0].prompt_tokens, 60);
  EXPECT_EQ(loaded[0].references, results[0].references);
  ASSERT_EQ(loaded[0].ways.size(), 2U);
  EXPECT_EQ(loaded[0].ways[0].answer, " a\xC3");
  EXPECT_EQ(loaded[0].ways[0].score, 0.5);
  EXPECT_EQ(loaded[0].ways[0].seconds, 1.25);
  EXPECT_EQ(loaded[0].ways[1].attention.keys_kept, 5);
  EXPECT_EQ(loaded[0].ways[1].attention.mass_sum, 0.3);

  const topk::Status other = LoadState(path, {{"model", "1f"}, {"length", "65"}}, loaded);
  EXPECT_NE(other.message().find("has the examples of another run, which differs in: length"), std::string::npos)
      << other.message();
  EXPECT_TRUE(loaded.empty());
  fs::remove(path);
}

}  // namespace
}  // namespace qwen_infer::tasks
