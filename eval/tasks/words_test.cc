#include "eval/tasks/words.h"

#include <gtest/gtest.h>

#include <set>

namespace qwen_infer::tasks {
namespace {

TEST(WordsTest, NoWordIsThereTwice) {
  std::set<std::string_view> seen;
  for (const auto& list : {Adjectives(), Nouns(), Verbs()}) {
    for (const std::string_view word : list) {
      EXPECT_TRUE(seen.insert(word).second) << word;
      EXPECT_EQ(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), std::string_view::npos) << word;
    }
  }
}

TEST(WordsTest, PairsTakeTheirPlaceWhereThereAreNotSoManyWords) {
  eval::Random random(1);
  const size_t all = Adjectives().size() + Nouns().size() + Verbs().size();
  const std::vector<std::string> words = DistinctWords(all, random);
  EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), all);
  EXPECT_EQ(words[0].find('-'), std::string::npos);
  const std::vector<std::string> pairs = DistinctWords(all + 1, random);
  EXPECT_EQ(std::set<std::string>(pairs.begin(), pairs.end()).size(), all + 1);
  for (const std::string& pair : pairs) EXPECT_NE(pair.find('-'), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer::tasks
