// What a saved session (qwen_infer/engine.h) says of the chat that it is, as its note: {"messages": [{"role": "user",
// "content": "..."}, ...], "attention": "k=256,..."}.
#ifndef QWEN_INFER_APPS_SAVED_CHAT_H_
#define QWEN_INFER_APPS_SAVED_CHAT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer {

struct SavedChat {
  std::vector<ChatMessage> messages;
  // All settings of top-k attention, in their text form; empty: it was full. Nothing if the file does not say.
  std::optional<std::string> attention;
};

std::string FormatChat(const SavedChat& chat);

// kInvalidArgument for a note that is none of these; `chat` is then unchanged.
topk::Status ParseChat(std::string_view note, SavedChat& chat);

struct RestoredSettings {
  std::string settings = {};  // all, for Model::ReplaceAttention; empty if they are in force already
  std::string changes = {};   // "k=64,no k@3=9": what they change
};

// The settings of `saved` in the place of those of `now`: both have all settings in their text form. Those of names
// that `now` has not for all layers are passed over, files to be written among them: who saved a chat is not to decide
// about these, and those of `now` stay.
RestoredSettings SettingsToRestore(std::string_view saved, std::string_view now);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SAVED_CHAT_H_
