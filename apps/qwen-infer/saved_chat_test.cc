#include "saved_chat.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qwen_infer {
namespace {

TEST(SavedChatTest, ComesBackAsItWas) {
  const SavedChat saved = {
      .messages = {{.role = "system", .content = ""}, {.role = "user", .content = "a \"quote\",\n数 and 🙂"}},
      .attention = "k=64,sinks=4"};
  SavedChat read;
  ASSERT_TRUE(ParseChat(FormatChat(saved), read).ok());
  ASSERT_EQ(read.messages.size(), 2U);
  EXPECT_EQ(read.messages[0].role, "system");
  EXPECT_EQ(read.messages[1].content, saved.messages[1].content);
  EXPECT_EQ(read.attention, "k=64,sinks=4");
}

TEST(SavedChatTest, NeedsNeitherMessagesNorAttention) {
  SavedChat read = {.messages = {{.role = "user", .content = "before"}}, .attention = "k=1"};
  ASSERT_TRUE(ParseChat(FormatChat({}), read).ok());
  EXPECT_TRUE(read.messages.empty());
  EXPECT_FALSE(read.attention);
}

TEST(SavedChatTest, RefusesOtherNotesAndChangesNothing) {
  for (const char* note : {"", "{}", "[]", "text", "{\"messages\": 3}", "{\"messages\": [{\"role\": \"user\"}]}",
                           "{\"messages\": [{\"role\": 1, \"content\": \"\"}]}", "{\"messages\": [\"text\"]}",
                           "{\"messages\": [], \"attention\": 64}"}) {
    SavedChat read = {.messages = {{.role = "user", .content = "before"}}, .attention = {}};
    EXPECT_EQ(ParseChat(note, read).message(), "it holds no chat") << note;
    ASSERT_EQ(read.messages.size(), 1U);
    EXPECT_EQ(read.messages[0].content, "before");
  }
}

TEST(SettingsToRestoreTest, AreThoseThatDiffer) {
  constexpr std::string_view kNow = "k=256,sinks=0,window=0,k@3=9";
  EXPECT_EQ(SettingsToRestore(kNow, kNow).settings, "");
  const RestoredSettings restored = SettingsToRestore("k=64,sinks=0,window=8,k@0-1=99,k@3=9", kNow);
  EXPECT_EQ(restored.settings, "k=64,sinks=0,window=8,k@0-1=99,k@3=9");
  EXPECT_EQ(restored.changes, "k=64,window=8,k@0-1=99");
}

TEST(SettingsToRestoreTest, LayersThatHadNoneLoseTheirs) {
  const RestoredSettings none = SettingsToRestore("k=64,sinks=0", "k=64,sinks=4,k@3=9,sinks@0=1");
  EXPECT_EQ(none.settings, "k=64,sinks=0");
  EXPECT_EQ(none.changes, "sinks=0,no k@3=9,no sinks@0=1");
  const RestoredSettings swapped = SettingsToRestore("k=64,k@0-3=1,k@2=2", "k=64,k@2=2,k@0-3=1");
  EXPECT_EQ(swapped.settings, "k=64,k@0-3=1,k@2=2");
  EXPECT_EQ(swapped.changes, "k=64,k@0-3=1,k@2=2");
}

TEST(SettingsToRestoreTest, LeaveFilesAlone) {
  constexpr std::string_view kNow = "k=256,record_keys=1,record@3=mine.gguf";
  for (const char* saved : {"record@0=/etc/passwd", " record@0=x", "record=x", "profile=x", " profile=x", "rec@0=x", "",
                            "@0=x", "=x", ",", "\trecord@1=x"}) {
    EXPECT_EQ(SettingsToRestore(saved, kNow).settings, "") << saved;
  }
  EXPECT_EQ(SettingsToRestore("k=1,record@0=x", kNow).settings, "k=1,record_keys=1,record@3=mine.gguf");
}

}  // namespace
}  // namespace qwen_infer
