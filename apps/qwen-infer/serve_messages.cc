#include "serve_messages.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;
using Reason = std::optional<std::string>;

enum class Presence { kNeeded, kOptional };

// The value of something that may be long, for an error.
std::string Shown(const Json& value) {
  constexpr size_t kMostBytes = 100;
  const std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);  // so that it may be cut anywhere
  return text.size() <= kMostBytes ? text : text.substr(0, kMostBytes) + "...";
}

Reason WrongType(const std::string& place, const Json& value, const char* wanted) {
  return "\"" + place + "\" is " + Shown(value) + "; it is to be " + wanted;
}

Reason CheckText(const Json& object, const std::string& place, const char* name, Presence presence) {
  const auto found = object.find(name);
  if (found == object.end()) {
    if (presence == Presence::kOptional) return std::nullopt;
    return "\"" + place + "\" has no \"" + name + "\"; it needs one, a text";
  }
  return found->is_string() ? std::nullopt : WrongType(place + "." + name, *found, "a text");
}

// Of an array: the first reason that check(element, place) finds.
template <typename Check>
Reason CheckEach(const Json& array, const std::string& place, Check&& check) {
  for (size_t i = 0; i < array.size(); ++i) {
    const std::string of_element = place + "[" + std::to_string(i) + "]";
    Reason reason = array[i].is_object() ? check(array[i], of_element) : WrongType(of_element, array[i], "an object");
    if (reason) return reason;
  }
  return std::nullopt;
}

Reason CheckPart(const Json& part, const std::string& place) {
  if (Reason reason = CheckText(part, place, "type", Presence::kNeeded)) return reason;
  return part["type"] == "text" ? CheckText(part, place, "text", Presence::kNeeded) : std::nullopt;
}

// Messages that are there for their content; an answer may consist of tool calls alone.
bool NeedsContent(const Json& message) {
  constexpr std::array<std::string_view, 4> kRoles = {"system", "developer", "user", "tool"};
  return std::find(kRoles.begin(), kRoles.end(), message["role"].get<std::string>()) != kRoles.end();
}

Reason CheckContent(const Json& message, const std::string& place) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) {
    if (!NeedsContent(message)) return std::nullopt;
    if (content == message.end())
      return "\"" + place + "\" has no \"content\"; it needs one, a text or a list of parts";
  }
  if (content->is_string()) return std::nullopt;
  if (content->is_array()) return CheckEach(*content, place + ".content", CheckPart);
  return WrongType(place + ".content", *content, "a text or a list of parts");
}

Reason CheckToolCall(const Json& call, const std::string& place) {
  for (const char* name : {"type", "id"}) {
    if (Reason reason = CheckText(call, place, name, Presence::kOptional)) return reason;
  }
  const auto function = call.find("function");
  if (function == call.end()) return std::nullopt;
  if (!function->is_object()) return WrongType(place + ".function", *function, "an object");
  return CheckText(*function, place + ".function", "name", Presence::kNeeded);
}

Reason CheckMessage(const Json& message, const std::string& place) {
  if (Reason reason = CheckText(message, place, "role", Presence::kNeeded)) return reason;
  for (const char* name : {"name", "tool_call_id", "reasoning_content"}) {
    if (Reason reason = CheckText(message, place, name, Presence::kOptional)) return reason;
  }
  if (Reason reason = CheckContent(message, place)) return reason;
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || calls->is_null()) return std::nullopt;
  if (!calls->is_array()) return WrongType(place + ".tool_calls", *calls, "a list of tool calls");
  return CheckEach(*calls, place + ".tool_calls", CheckToolCall);
}

}  // namespace

std::optional<std::string> FindBadMessage(const Json& messages) {
  if (!messages.is_array()) return WrongType("messages", messages, "a list of messages");
  if (messages.empty()) return "\"messages\" has no message; send at least one";
  return CheckEach(messages, "messages", CheckMessage);
}

}  // namespace qwen_infer
