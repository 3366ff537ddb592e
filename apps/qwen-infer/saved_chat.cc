#include "saved_chat.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string_view> Items(std::string_view settings) {
  std::vector<std::string_view> items;
  while (!settings.empty()) {
    items.push_back(settings.substr(0, settings.find(',')));
    settings.remove_prefix(std::min(items.back().size() + 1, settings.size()));
  }
  return items;
}

// The name in "name=value" and in "name@N=value".
std::string_view NameOf(std::string_view item) { return item.substr(0, item.find_first_of("@=")); }

}  // namespace

std::string FormatChat(const SavedChat& chat) {
  Json note = {{"messages", Json::array()}};
  for (const ChatMessage& message : chat.messages) {
    note["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  if (chat.attention) note["attention"] = *chat.attention;
  return note.dump(-1, ' ', false, Json::error_handler_t::replace);
}

topk::Status ParseChat(std::string_view note, SavedChat& chat) {
  SavedChat read;
  try {
    const Json json = Json::parse(note);
    for (const Json& message : json.at("messages").get<std::vector<Json>>()) {
      read.messages.push_back({.role = message.at("role"), .content = message.at("content")});
    }
    if (json.contains("attention")) read.attention = json.at("attention").get<std::string>();
  } catch (const Json::exception&) {
    return topk::InvalidArgument("it holds no chat");
  }
  chat = std::move(read);
  return {};
}

std::string SettingsToRestore(std::string_view saved, std::string_view now) {
  const std::vector<std::string_view> current = Items(now);
  const auto is_current = [&current](std::string_view item) {
    return std::find(current.begin(), current.end(), item) != current.end();
  };
  const auto is_known = [&current](std::string_view name) {
    return std::any_of(current.begin(), current.end(), [name](std::string_view one) {
      return one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=';
    });
  };
  std::string restored;
  for (const std::string_view item : Items(saved)) {
    if (is_current(item) || !is_known(NameOf(item))) continue;
    restored.append(restored.empty() ? "" : ",").append(item);
  }
  return restored;
}

}  // namespace qwen_infer
