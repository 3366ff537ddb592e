#include "serve_roles.h"

#include <nlohmann/json.hpp>
#include <set>

#include "engine/chat_roles.h"

namespace qwen_infer {

std::vector<RoleProbe> RoleProbes(std::string_view body) {
  using Json = nlohmann::ordered_json;
  Json request = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto messages = request.is_object() ? request.find("messages") : request.end();
  if (messages == request.end() || !messages->is_array()) return {};
  std::set<std::string> roles;
  for (const Json& message : *messages) {
    if (const std::string role = message.at("role"); !IsUsualRole(role)) roles.insert(role);
  }
  std::vector<RoleProbe> probes;
  for (const std::string& role : roles) {
    Json probe = request;
    for (Json& message : probe["messages"]) {
      if (message["role"] == role) message["content"] = kRoleMarker;
    }
    probes.push_back({.role = role, .body = probe.dump()});
  }
  return probes;
}

}  // namespace qwen_infer
