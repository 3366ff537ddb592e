#include "nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace qwen_infer {
namespace {

const std::vector<std::string_view> kKnown = {"complete", "chat", "serve"};

TEST(NearestTest, FindsTheNameWithTheFewestEdits) {
  EXPECT_EQ(NearestName("complet", kKnown), "complete");
  EXPECT_EQ(NearestName("sevre", kKnown), "serve");
  EXPECT_EQ(NearestName("cat", kKnown), "chat");
  EXPECT_EQ(NearestName("server", kKnown), "serve");
  EXPECT_EQ(NearestName("chat", kKnown), "chat");
}

TEST(NearestTest, FindsNothingForWhatResemblesNothing) {
  EXPECT_EQ(NearestName("", kKnown), "");
  EXPECT_EQ(NearestName("x", kKnown), "");
  EXPECT_EQ(NearestName("perplexity", kKnown), "");
  EXPECT_EQ(NearestName("chat", {}), "");
}

TEST(NearestTest, PrefersTheFirstOfEquals) {
  const std::vector<std::string_view> known = {"abcd", "abce"};
  EXPECT_EQ(NearestName("abcx", known), "abcd");
}

}  // namespace
}  // namespace qwen_infer
