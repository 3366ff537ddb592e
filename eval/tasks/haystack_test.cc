#include "eval/tasks/haystack.h"

#include <gtest/gtest.h>

#include <set>

namespace qwen_infer::tasks {
namespace {

using Strings = std::vector<std::string>;

TEST(HaystackTest, SentencesEndAtTheirMarksAndBlanksAreOne) {
  EXPECT_EQ(SentencesOf(" One  two.\nThree\tfour? (Five!) \"Six.\" seven"),
            (Strings{"One two.", "Three four?", "(Five!)", "\"Six.\"", "seven"}));
  EXPECT_EQ(SentencesOf(" \n\t"), Strings{});
}

TEST(HaystackTest, ASentenceHasSixtyFourWordsAtMost) {
  std::string text;
  for (int i = 0; i < 130; ++i) text += "word ";
  const Strings sentences = SentencesOf(text);
  ASSERT_EQ(sentences.size(), 3U);
  EXPECT_EQ(sentences[0].size(), 64 * 5 - 1);
  EXPECT_EQ(sentences[2], "word word");
}

TEST(HaystackTest, NeedlesStandBeforeDifferentLinesInTheirOrder) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    eval::Random random(seed);
    seen.insert(InsertIntoLines({"a", "b", "c"}, {"1", "2"}, random));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"1\na\n2\nb\nc", "1\na\nb\n2\nc", "a\n1\nb\n2\nc"}));
}

TEST(HaystackTest, ANeedleStandsAtEveryDepthOfSentences) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    eval::Random random(seed);
    seen.insert(InsertIntoSentences({"A.", "B."}, 3, {"1"}, random));
  }
  // The sentences repeat.
  EXPECT_EQ(seen, (std::set<std::string>{"1 A. B. A.", "A. 1 B. A.", "A. B. 1 A.", "A. B. A. 1"}));
}

}  // namespace
}  // namespace qwen_infer::tasks
