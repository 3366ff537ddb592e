#include "eval/tasks/example.h"

#include <gtest/gtest.h>

namespace qwen_infer::tasks {
namespace {

TEST(TaskScoreTest, IsTheShareOfReferencesInTheAnswer) {
  EXPECT_EQ(ScoreOf({"apple", "pear", "plum", "fig"}, " 1. pear 2. cherry 3. apple"), 0.5);
  EXPECT_EQ(ScoreOf({"12345"}, " 12345."), 1);
  EXPECT_EQ(ScoreOf({"12345"}, " 12354."), 0);
  EXPECT_EQ(ScoreOf({"12345"}, ""), 0);
}

TEST(TaskScoreTest, TakesSmallLettersAndCapitalsForTheSame) {
  EXPECT_EQ(ScoreOf({"ABCDE", "fghij"}, "abcde and FGHIJ"), 1);
}

TEST(TaskScoreTest, FindsAReferenceWithinAWordAsRulerDoes) { EXPECT_EQ(ScoreOf({"rain"}, "rainbow"), 1); }

}  // namespace
}  // namespace qwen_infer::tasks
