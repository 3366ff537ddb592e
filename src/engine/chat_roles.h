// Roles of messages. Most chat templates pass over a message of a role that they do not know, so that the model never
// sees it. Which do is tried: the template is given messages of that role that say kRoleMarker, and what becomes of it
// is looked at.
#ifndef QWEN_INFER_SRC_ENGINE_CHAT_ROLES_H_
#define QWEN_INFER_SRC_ENGINE_CHAT_ROLES_H_

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace qwen_infer {

inline constexpr std::string_view kRoleMarker = "f3a9c1d7-is-this-role-known";

// llama.cpp gives "developer" to templates as "system", but to those that know it.
inline bool IsUsualRole(std::string_view role) {
  constexpr std::array<std::string_view, 5> kUsual = {"system", "user", "assistant", "tool", "developer"};
  return std::find(kUsual.begin(), kUsual.end(), role) != kUsual.end();
}

// The error for one that is passed over.
inline std::string PassedOver(const std::string& role) {
  return "the model's chat template passes over messages of the role '" + role +
         "': use system, user, assistant or tool";
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_CHAT_ROLES_H_
