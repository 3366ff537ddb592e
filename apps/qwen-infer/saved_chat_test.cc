#include "saved_chat.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qwen_infer {
namespace {

TEST(SavedChatTest, MessagesComeBackAsTheyWere) {
  const std::vector<ChatMessage> messages = {{.role = "system", .content = ""},
                                             {.role = "user", .content = "a \"quote\",\n数 and 🙂"}};
  std::vector<ChatMessage> read;
  ASSERT_TRUE(ParseMessages(FormatMessages(messages), read).ok());
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].role, "system");
  EXPECT_EQ(read[1].content, messages[1].content);
}

TEST(SavedChatTest, AConversationWithoutMessagesIsOne) {
  std::vector<ChatMessage> read = {{.role = "user", .content = "before"}};
  ASSERT_TRUE(ParseMessages(FormatMessages({}), read).ok());
  EXPECT_TRUE(read.empty());
}

TEST(SavedChatTest, RefusesOtherNotesAndChangesNothing) {
  for (const char* note : {"", "{}", "[]", "text", "{\"messages\": 3}", "{\"messages\": [{\"role\": \"user\"}]}",
                           "{\"messages\": [{\"role\": 1, \"content\": \"\"}]}", "{\"messages\": [\"text\"]}"}) {
    std::vector<ChatMessage> read = {{.role = "user", .content = "before"}};
    EXPECT_EQ(ParseMessages(note, read).message(), "it holds no chat") << note;
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read[0].content, "before");
  }
}

}  // namespace
}  // namespace qwen_infer
