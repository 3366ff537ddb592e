#include "engine/text_stream.h"

#include <gtest/gtest.h>

namespace qwen_infer {
namespace {

TEST(TextStreamTest, HoldsBackPartsOfCharacters) {
  TextStream stream({});
  EXPECT_EQ(stream.Add("a\xC3"), "a");
  EXPECT_EQ(stream.Add("\xA9z"), "\xC3\xA9z");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(TextStreamTest, ReplacesBytesThatAreNoCharacter) {
  TextStream stream({});
  EXPECT_EQ(stream.Add("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(stream.Add("\xE2\x82"), "");
  EXPECT_EQ(ValidUtf8(stream.Finish()), 3U);
}

TEST(TextStreamTest, EndsBeforeAStopStringThatComesInParts) {
  TextStream stream({"STOP", "\n\n"});
  EXPECT_EQ(stream.Add("one S"), "one ");
  EXPECT_EQ(stream.Add("T"), "");
  EXPECT_EQ(stream.Add("OP two"), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.Add("three"), "");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(TextStreamTest, ReleasesWhatOnlyLookedLikeAStopString) {
  TextStream stream({"STOP"});
  EXPECT_EQ(stream.Add("ST"), "");
  EXPECT_EQ(stream.Add("AR"), "STAR");
  EXPECT_EQ(stream.Add("S"), "");
  EXPECT_EQ(stream.Finish(), "S");
  EXPECT_FALSE(stream.stopped());
}

TEST(TextStreamTest, TakesTheFirstOfSeveralStopStrings) {
  TextStream stream({"cd", "b"});
  EXPECT_EQ(stream.Add("abcd"), "a");
}

TEST(TextStreamTest, FindsTheFirstByteThatIsNoUtf8) {
  EXPECT_EQ(ValidUtf8(""), 0U);
  EXPECT_EQ(ValidUtf8("\xC3\xA9"), 2U);
  EXPECT_EQ(ValidUtf8("ab\xC3"), 2U);
  EXPECT_EQ(ValidUtf8("ab\xFF"), 2U);
}

}  // namespace
}  // namespace qwen_infer
