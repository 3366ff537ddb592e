#include "engine/sampling.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

namespace qwen_infer {
namespace {

std::string Refusal(const std::function<void(GenerateOptions&)>& change) {
  GenerateOptions options;
  change(options);
  try {
    CheckOptions(options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(CheckOptionsTest, TakesTheDefaultsAndTheEndsOfRanges) {
  EXPECT_EQ(Refusal([](GenerateOptions&) {}), "");
  EXPECT_EQ(Refusal([](GenerateOptions& o) { o.sampling = {.temperature = 0, .top_p = 0, .top_k = 0, .min_p = 1}; }),
            "");
}

TEST(CheckOptionsTest, NamesOptionValueAndRange) {
  EXPECT_EQ(Refusal([](GenerateOptions& o) { o.sampling.temperature = -1; }), "temperature=-1 must be from 0 to 100");
  EXPECT_EQ(Refusal([](GenerateOptions& o) { o.sampling.top_p = 1.5; }), "top_p=1.5 must be from 0 to 1");
  EXPECT_EQ(Refusal([](GenerateOptions& o) { o.max_new_tokens = 0; }), "max_new_tokens=0 must be from 1 to 2147483647");
  EXPECT_EQ(Refusal([](GenerateOptions& o) { o.sampling.repetition_penalty = 0; }),
            "repetition_penalty=0 must be from 0.01 to 100");
  EXPECT_NE(Refusal([](GenerateOptions& o) { o.stop = {"a", ""}; }).find("empty"), std::string::npos);
}

TEST(CheckOptionsTest, RefusesNan) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(Refusal([](GenerateOptions& o) { o.sampling.temperature = kNan; }),
            "temperature=nan must be from 0 to 100");
  EXPECT_NE(Refusal([](GenerateOptions& o) { o.sampling.min_p = kNan; }), "");
}

}  // namespace
}  // namespace qwen_infer
