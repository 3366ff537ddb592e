// Roles in the messages that clients send (engine/chat_roles.h), which llama.cpp's handlers take as they come.
#ifndef QWEN_INFER_APPS_SERVE_ROLES_H_
#define QWEN_INFER_APPS_SERVE_ROLES_H_

#include <string>
#include <string_view>
#include <vector>

namespace qwen_infer {

struct RoleProbe {
  std::string role;
  std::string body;  // of a request whose messages of that role say kRoleMarker
};

// One for each role in the messages that templates need not know. `body` is in order (serve_requests.h).
std::vector<RoleProbe> RoleProbes(std::string_view body);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_ROLES_H_
