// The messages of a chat, as clients send them, checked before llama.cpp's handlers read them: these say of most
// mistakes that something has the wrong type, and not what.
#ifndef QWEN_INFER_APPS_SERVE_MESSAGES_H_
#define QWEN_INFER_APPS_SERVE_MESSAGES_H_

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace qwen_infer {

// What is wrong with "messages", if anything: none at all, a message without a "role", or a member of a message, of a
// part of its content or of its tool calls that has another type than it is to have. Names the place,
// "messages[1].role", and the value. What else there may be in a message is the chat template's.
std::optional<std::string> FindBadMessage(const nlohmann::ordered_json& messages);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_MESSAGES_H_
