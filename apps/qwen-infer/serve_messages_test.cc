#include "serve_messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace qwen_infer {
namespace {

std::string ReasonFor(const char* messages) {
  return FindBadMessage(nlohmann::ordered_json::parse(messages)).value_or("");
}

TEST(ServeMessagesTest, NamesThePlaceAndTheValue) {
  struct BadMessages {
    const char* messages;
    const char* reason;
  };
  const BadMessages kBad[] = {
      {R"("hi")", R"("messages" is "hi"; it is to be a list of messages)"},
      {R"([])", R"("messages" has no message; send at least one)"},
      {R"([3])", R"("messages[0]" is 3; it is to be an object)"},
      {R"([{"content": "hi"}])", R"("messages[0]" has no "role"; it needs one, a text)"},
      {R"([{"role": "user", "content": ""}, {"role": null}])", R"("messages[1].role" is null; it is to be a text)"},
      {R"([{"role": "user", "content": 3}])", R"("messages[0].content" is 3; it is to be a text or a list of parts)"},
      {R"([{"role": "user", "content": null}])",
       R"("messages[0].content" is null; it is to be a text or a list of parts)"},
      {R"([{"role": "system"}])", R"("messages[0]" has no "content"; it needs one, a text or a list of parts)"},
      {R"([{"role": "user", "content": ["hi"]}])", R"("messages[0].content[0]" is "hi"; it is to be an object)"},
      {R"([{"role": "user", "content": [{"text": "hi"}]}])",
       R"("messages[0].content[0]" has no "type"; it needs one, a text)"},
      {R"([{"role": "user", "content": [{"type": "text", "text": 3}]}])",
       R"("messages[0].content[0].text" is 3; it is to be a text)"},
      {R"([{"role": "user", "name": 3}])", R"("messages[0].name" is 3; it is to be a text)"},
      {R"([{"role": "tool", "tool_call_id": []}])", R"("messages[0].tool_call_id" is []; it is to be a text)"},
      {R"([{"role": "assistant", "tool_calls": {}}])",
       R"("messages[0].tool_calls" is {}; it is to be a list of tool calls)"},
      {R"([{"role": "assistant", "tool_calls": [{"id": 3}]}])",
       R"("messages[0].tool_calls[0].id" is 3; it is to be a text)"},
      {R"([{"role": "assistant", "tool_calls": [{"function": "f"}]}])",
       R"("messages[0].tool_calls[0].function" is "f"; it is to be an object)"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])",
       R"("messages[0].tool_calls[0].function" has no "name"; it needs one, a text)"},
  };
  for (const BadMessages& bad : kBad) EXPECT_EQ(ReasonFor(bad.messages), bad.reason) << bad.messages;
}

TEST(ServeMessagesTest, LeavesTheRestToTheTemplate) {
  const char* const kGood[] = {
      R"([{"role": "anyone", "content": null, "more": 3}])",
      R"([{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": 3}]}])",
      R"([{"role": "assistant", "tool_calls": null}, {"role": "assistant", "tool_calls": [{}]}])",
  };
  for (const char* messages : kGood) EXPECT_EQ(ReasonFor(messages), "") << messages;
}

TEST(ServeMessagesTest, ShowsTheBeginningOfWhatIsLong) {
  const std::string long_value = R"([{"role": [")" + std::string(10'000, 'x') + R"("]}])";
  EXPECT_LT(ReasonFor(long_value.c_str()).size(), 200U);
}

}  // namespace
}  // namespace qwen_infer
