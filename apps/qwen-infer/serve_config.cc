#include "serve_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kExpected = R"(; send an object such as {"k": 128, "sinks": 4}. )";

topk::Status Refuse(std::string what) {
  return topk::InvalidArgument(what.append(kExpected).append("The settings:\n").append(SettingsHelp()));
}

// Of two overrides of the same setting and layers the later wins, so the earlier one can go: else a client that changes
// its mind for ever would fill the memory.
void DropOverridden(std::vector<LayerOverride>& overrides) {
  if (overrides.empty()) return;
  const LayerOverride last = overrides.back();
  const auto same = [&last](const LayerOverride& other) {
    return other.first == last.first && other.last == last.last && other.name == last.name;
  };
  overrides.erase(std::remove_if(overrides.begin(), overrides.end() - 1, same), overrides.end() - 1);
}

topk::Status ApplyMember(const std::string& name, const Json& value, Settings& settings) {
  if (name.starts_with("record") || name.starts_with("profile")) {
    return Refuse("'" + name + "' is about a file and for the command line alone");
  }
  if (!value.is_primitive() || value.is_null()) return Refuse(name + " is " + value.dump());
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (topk::Status status = ParseSetting(name + "=" + text, settings); !status.ok()) return Refuse(status.message());
  DropOverridden(settings.overrides);
  return {};
}

}  // namespace

topk::Status ApplyConfig(std::string_view body, Settings& settings) {
  const Json config = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (config.is_discarded()) return Refuse("the body is not valid JSON");
  if (!config.is_object() || config.empty()) return Refuse("the body names no setting");
  Settings changed = settings;
  for (const auto& [name, value] : config.items()) {
    if (topk::Status status = ApplyMember(name, value, changed); !status.ok()) return status;
  }
  if (topk::Status status = changed.Validate(); !status.ok()) return Refuse(status.message());
  settings = std::move(changed);
  return {};
}

}  // namespace qwen_infer
