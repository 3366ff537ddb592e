#include "saved_chat.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace qwen_infer {

using Json = nlohmann::ordered_json;

std::string FormatMessages(std::span<const ChatMessage> messages) {
  Json note = {{"messages", Json::array()}};
  for (const ChatMessage& message : messages) {
    note["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  return note.dump(-1, ' ', false, Json::error_handler_t::replace);
}

topk::Status ParseMessages(std::string_view note, std::vector<ChatMessage>& messages) {
  std::vector<ChatMessage> read;
  try {
    // A const reference to a part of it would dangle.
    const auto list = Json::parse(note).at("messages").get<std::vector<Json>>();
    for (const Json& message : list) {
      read.push_back({.role = message.at("role"), .content = message.at("content")});
    }
  } catch (const Json::exception&) {
    return topk::InvalidArgument("it holds no chat");
  }
  messages = std::move(read);
  return {};
}

}  // namespace qwen_infer
