// The messages of a chat as the note of a saved session (qwen_infer/engine.h): {"messages": [{"role": "user",
// "content": "..."}, ...]}.
#ifndef QWEN_INFER_APPS_SAVED_CHAT_H_
#define QWEN_INFER_APPS_SAVED_CHAT_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer {

std::string FormatMessages(std::span<const ChatMessage> messages);

// kInvalidArgument for a note that is none of these; `messages` is then unchanged.
topk::Status ParseMessages(std::string_view note, std::vector<ChatMessage>& messages);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SAVED_CHAT_H_
