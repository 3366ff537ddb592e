#include "serve_requests.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace qwen_infer {
namespace {

const std::vector<std::string> kModels = {"qwen", "qwen.gguf"};

struct BadBody {
  const char* body;
  int status;
  const char* named;  // in the message
};

// Status 0: not refused.
Refusal RefusalOf(std::string_view body) {
  return CheckModelRequest(body, kModels).value_or(Refusal{.status = 0, .type = "", .message = ""});
}

TEST(ServeRequestsTest, RefusesBadBodiesAndNamesTheValue) {
  const BadBody kBad[] = {
      {R"({)", 400, "JSON"},
      {R"({"prompt": "x")", 400, "JSON"},
      {R"({"temperature": NaN})", 400, "NaN"},
      {R"({"temperature": 1e999})", 400, "1e999"},
      {R"({"temperature": -1})", 400, "-1"},
      {R"({"temperature": "nan"})", 400, "nan"},
      {R"({"top_p": 1.5})", 400, "1.5"},
      {R"({"min_p": -0.5})", 400, "-0.5"},
      {R"({"top_k": 1000000000000})", 400, "1000000000000"},
      {R"({"prompt": ""})", 400, "\"prompt\" is empty"},
      {R"({"messages": []})", 400, "\"messages\" has no message"},
      {R"({"messages": [{"content": "x"}]})", 400, "\"messages[0]\" has no \"role\""},
      {R"({"messages": [{"role": "user", "content": [{"type": "text", "text": ["x"]}]}]})", 400, "[\"x\"]"},
      {R"({"messages": 3})", 400, "list of messages"},
      {R"({"messages": null})", 400, "list of messages"},
      {R"({"max_tokens": 4294967297})", 400, "4294967297"},
      {R"({"max_tokens": 1.5})", 400, "1.5"},
      {R"({"max_tokens": 0})", 400, "\"max_tokens\" is 0; allowed are whole numbers from 1 to 2147483647, and -1"},
      {R"({"max_completion_tokens": 0})", 400, "whole numbers from 1 to"},
      {R"({"n_predict": -2})", 400, "-2"},
      {R"({"max_completion_tokens": true})", 400, "true"},
      {R"({"seed": -5})", 400, "-5"},
      {R"({"seed": 1e20})", 400, "1e+20"},
      {R"({"mirostat": 7})", 400, "7"},
      {R"({"logprobs": -1})", 400, "-1"},
      {R"({"n_probs": true})", 400, "true"},
      {R"({"stop": 5})", 400, "5"},
      {R"({"stop": ""})", 400, "\"\""},
      {R"({"stop": ["x", 5]})", 400, "5"},
      {R"({"stop": [[]]})", 400, "a list"},
      {R"({"stop": {"x": "y"}})", 400, "an object"},
      {R"({"logit_bias": 5})", 400, "5"},
      {R"({"prompt": ["", ""]})", 400, "\"prompt\" has an empty text"},
      {R"({"model": "gpt-4"})", 400, "gpt-4"},
      {R"({"model": 3})", 400, "3"},
      {"{\"prompt\": \"\xff\"}", 400, "UTF-8"},
  };
  for (const BadBody& bad : kBad) {
    SCOPED_TRACE(bad.body);
    const Refusal refusal = RefusalOf(bad.body);
    EXPECT_EQ(refusal.status, bad.status);
    EXPECT_FALSE(refusal.type.empty());
    EXPECT_NE(refusal.message.find(bad.named), std::string::npos) << refusal.message;
  }
}

TEST(ServeRequestsTest, LeavesTheRestToLlama) {
  const char* const kGood[] = {
      "",
      "[1, 2]",
      "3",
      R"({"prompt": 3})",
      R"({"prompt": "", "input_prefix": "def f("})",
      R"({"prompt": ["x", "y"], "stop": "x", "seed": -1, "mirostat": 2, "logprobs": 3})",
      R"({"prompt": [1, ""], "stop": ["x"], "logit_bias": [[1, false]], "logprobs": true})",
      R"({"prompt": [[1, 2]], "stop": [], "logit_bias": {"1": 5}, "seed": 4294967295})",
      R"({"messages": [{"role": "user", "content": "x"}], "tools": [], "top_k": -1})",
      R"({"prompt": "x", "messages": null})",
      R"({"model": "qwen", "temperature": 0, "top_p": 1, "max_tokens": -1})",
      R"({"model": "qwen.gguf", "temperature": null, "model_": "gpt-4"})",
      R"({"model": "", "messages": [{"role": "user", "content": "x", "temperature": -1, "model": "gpt-4"}]})",
  };
  for (const char* body : kGood) {
    EXPECT_EQ(RefusalOf(body).status, 0) << body << ": " << RefusalOf(body).message;
  }
  EXPECT_FALSE(CheckModelRequest(R"({"model": "any"})", {}).has_value());
}

std::string Nested(int depth) {
  return R"({"prompt": )" + std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']') + "}";
}

TEST(ServeRequestsTest, RefusesWhatIsNestedTooDeeply) {
  EXPECT_FALSE(CheckModelRequest(Nested(kMaxBodyDepth - 1), kModels).has_value());  // one level is the object
  const Refusal refusal = RefusalOf(Nested(kMaxBodyDepth));
  EXPECT_EQ(refusal.status, 400);
  EXPECT_NE(refusal.message.find(std::to_string(kMaxBodyDepth)), std::string::npos);
  EXPECT_TRUE(CheckModelRequest(Nested(1'000'000), kModels).has_value());
}

TEST(ServeRequestsTest, RefusesWhatIsTooLarge) {
  std::string body = R"({"prompt": ")";
  body.resize(kMaxBodyBytes - 2, 'x');
  body += "\"}";
  EXPECT_FALSE(CheckModelRequest(body, kModels).has_value());
  body.insert(body.size() - 2, "x");
  const Refusal refusal = RefusalOf(body);
  EXPECT_EQ(refusal.status, 413);
  EXPECT_NE(refusal.message.find(std::to_string(body.size())), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer
