#include "layer/json.h"

#include <gtest/gtest.h>

#include <string>

namespace topk {
namespace {

Status Parse(std::string_view text, int max_depth = 3) {
  nlohmann::json value;
  return ParseJson(text, max_depth, value);
}

void ExpectRefused(std::string_view text, const std::string& part) {
  const Status status = Parse(text);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(JsonTest, ParsesValuesUpToTheAllowedDepth) {
  nlohmann::json value;
  ASSERT_TRUE(ParseJson(R"({"a": {"b": [1, 2.5]}, "c": {"b": null}})", 3, value).ok());
  EXPECT_EQ(value["a"]["b"][1], 2.5);
  EXPECT_TRUE(Parse("[[[1]]]").ok());
  ExpectRefused("[[[[1]]]]", "more than 3 levels");
  ExpectRefused(R"({"a": {"b": [{}]}})", "more than 3 levels");
  ExpectRefused(std::string(1'000'000, '['), "more than 3 levels");
}

TEST(JsonTest, RefusesKeysThatStandTwiceInOneObject) {
  ExpectRefused(R"({"a": 1, "a": 2})", "'a' stands twice");
  ExpectRefused(R"({"x": {"a": 1, "a": 1}})", "'a' stands twice");
  EXPECT_TRUE(Parse(R"({"x": {"a": 1}, "y": {"a": 1}, "a": 1})").ok());
}

TEST(JsonTest, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "{]", "nan", "{\"a\": 1,}", "{} {}", "\"\xff\"", "1e999"}) {
    ExpectRefused(text, "not valid JSON");
  }
  ExpectRefused(std::string("{\0}", 3), "not valid JSON");
}

TEST(JsonTest, QuotesAreShortAndPrintable) {
  EXPECT_EQ(Quoted("a\x1b[31m\n"), "'a?[31m?'");
  EXPECT_EQ(Quoted(std::string(1000, 'x')), "'" + std::string(100, 'x') + "...'");
}

}  // namespace
}  // namespace topk
