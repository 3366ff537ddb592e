#include "windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace qwen_infer::eval {
namespace {

// A token for each byte. Remembers the most that it was ever given.
struct ByteTokenizer {
  size_t* longest = nullptr;

  std::vector<Token> operator()(std::string_view text) const {
    if (longest != nullptr) *longest = std::max(*longest, text.size());
    return {text.begin(), text.end()};
  }
};

std::string TextOf(const std::vector<Token>& tokens) { return {tokens.begin(), tokens.end()}; }

std::string NumberedLines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST(WindowsTest, AreSpreadOverTheTextAndBeginWithLines) {
  std::vector<std::vector<Token>> windows;
  ASSERT_TRUE(CutWindows(NumberedLines(100), 3, 7, ByteTokenizer(), windows).ok());
  ASSERT_EQ(windows.size(), 3U);
  EXPECT_EQ(TextOf(windows[0]), "line 0\n");
  EXPECT_EQ(TextOf(windows[1]), "line 35");
  EXPECT_EQ(TextOf(windows[2]), "line 67");
}

TEST(WindowsTest, AWindowMayBeAllOfItsPart) {
  std::vector<std::vector<Token>> windows;
  ASSERT_TRUE(CutWindows("abc\ndef\nghi\n", 3, 4, ByteTokenizer(), windows).ok());
  EXPECT_EQ(TextOf(windows[2]), "ghi\n");
}

TEST(WindowsTest, TooShortATextIsRefusedWithWhatThereIs) {
  std::vector<std::vector<Token>> windows;
  const topk::Status status = CutWindows("abc\ndef\nghi\n", 3, 5, ByteTokenizer(), windows);
  EXPECT_EQ(status.message(),
            "the text is too short for 3 windows of 5 tokens: one of its 3 parts has 4. Give more text, or fewer "
            "(--windows) or smaller (--window) windows");
}

TEST(WindowsTest, ALongLineLeavesNothingForTheNextPart) {
  std::vector<std::vector<Token>> windows;
  EXPECT_FALSE(CutWindows(std::string(1000, 'x'), 2, 5, ByteTokenizer(), windows).ok());
}

TEST(WindowsTest, OnlyWhatIsNeededOfALongTextIsTokenized) {
  size_t longest = 0;
  std::vector<std::vector<Token>> windows;
  ASSERT_TRUE(CutWindows(std::string(1'000'000, 'x'), 1, 10, ByteTokenizer{&longest}, windows).ok());
  EXPECT_LT(longest, 1000U);
}

TEST(WindowsTest, MoreIsTokenizedIfTokensAreLong) {
  std::vector<std::vector<Token>> windows;
  const Tokenizer rare = [](std::string_view text) { return std::vector<Token>(text.size() / 100, 1); };
  ASSERT_TRUE(CutWindows(std::string(10'000, 'x'), 1, 50, rare, windows).ok());
  EXPECT_EQ(windows[0].size(), 50U);
}

TEST(WindowsTest, CharactersAreNeverCut) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "\xe2\x82\xac";  // the euro sign
  const Tokenizer strict = [](std::string_view piece) {
    EXPECT_EQ(piece.size() % 3, 0U);
    return std::vector<Token>(piece.size() / 3, 1);
  };
  std::vector<std::vector<Token>> windows;
  EXPECT_TRUE(CutWindows(text, 1, 101, strict, windows).ok());
}

}  // namespace
}  // namespace qwen_infer::eval
