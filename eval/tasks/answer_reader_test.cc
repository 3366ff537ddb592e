#include "eval/tasks/answer_reader.h"

#include <gtest/gtest.h>

#include <numeric>

namespace qwen_infer::tasks {
namespace {

std::vector<Token> Counting(size_t count) {
  std::vector<Token> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

TEST(AnswerReaderTest, KeepsWholeChunksOfWhatPromptsBeginWith) {
  std::vector<Token> other = Counting(1000);
  other[700] = -1;
  EXPECT_EQ(TokensKept(Counting(1000), other), 512U);
  other[512] = -1;
  EXPECT_EQ(TokensKept(Counting(1000), other), 512U);
  other[511] = -1;
  EXPECT_EQ(TokensKept(Counting(1000), other), 256U);
  other[0] = -1;
  EXPECT_EQ(TokensKept(Counting(1000), other), 0U);
}

TEST(AnswerReaderTest, ReadsTheLastTokenOfAPromptAgain) {
  EXPECT_EQ(TokensKept(Counting(512), Counting(512)), 256U);
  EXPECT_EQ(TokensKept(Counting(513), Counting(513)), 512U);
  EXPECT_EQ(TokensKept(Counting(513), Counting(512)), 256U);
}

TEST(AnswerReaderTest, KeepsNothingOfAPieceThatWasNotAWholeChunk) {
  EXPECT_EQ(TokensKept(Counting(300), Counting(1000)), 256U);
  EXPECT_EQ(TokensKept({}, Counting(1000)), 0U);
}

}  // namespace
}  // namespace qwen_infer::tasks
