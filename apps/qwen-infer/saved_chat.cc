#include "saved_chat.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;

using Texts = std::vector<std::string_view>;

Texts Items(std::string_view settings) {
  Texts items;
  while (!settings.empty()) {
    items.push_back(settings.substr(0, settings.find(',')));
    settings.remove_prefix(std::min(items.back().size() + 1, settings.size()));
  }
  return items;
}

// The name in "name=value" and in "name@N=value".
std::string_view NameOf(std::string_view item) { return item.substr(0, item.find_first_of("@=")); }

bool IsOfAllLayers(std::string_view item) {
  const size_t end = NameOf(item).size();
  return end > 0 && end < item.size() && item[end] == '=';
}

bool Has(const Texts& items, std::string_view item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

std::string Joined(const Texts& items) {
  std::string text;
  for (const std::string_view item : items) text.append(text.empty() ? "" : ",").append(item);
  return text;
}

// Those of all layers, of single layers, and of files, in this order.
Texts Merged(const Texts& saved, const Texts& current) {
  Texts merged;
  std::copy_if(current.begin(), current.end(), std::back_inserter(merged), IsOfAllLayers);
  const auto find = [&merged](std::string_view item) {
    return std::find_if(merged.begin(), merged.end(),
                        [item](std::string_view one) { return IsOfAllLayers(one) && NameOf(one) == NameOf(item); });
  };
  for (const std::string_view item : saved) {
    const auto place = find(item);
    if (place == merged.end()) continue;
    if (IsOfAllLayers(item)) {
      *place = item;
    } else {
      merged.push_back(item);
    }
  }
  std::copy_if(current.begin(), current.end(), std::back_inserter(merged),
               [&find, &merged](std::string_view item) { return !IsOfAllLayers(item) && find(item) == merged.end(); });
  return merged;
}

std::string Changes(const Texts& current, const Texts& restored) {
  Texts changed;
  std::copy_if(restored.begin(), restored.end(), std::back_inserter(changed),
               [&current](std::string_view item) { return !Has(current, item); });
  std::string text = Joined(changed);
  for (const std::string_view item : current) {
    if (IsOfAllLayers(item) || Has(restored, item)) continue;
    text.append(text.empty() ? "" : ",").append("no ").append(item);
  }
  // Of settings of single layers the order counts: nothing else has changed then.
  return text.empty() ? Joined(restored) : text;
}

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

RestoredSettings SettingsToRestore(std::string_view saved, std::string_view now) {
  const Texts current = Items(now);
  const Texts restored = Merged(Items(saved), current);
  if (restored == current) return {};
  return {.settings = Joined(restored), .changes = Changes(current, restored)};
}

}  // namespace qwen_infer
