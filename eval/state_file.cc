#include "state_file.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "atomic_file.h"

namespace qwen_infer::eval {

namespace {

using Json = nlohmann::json;

// "model, settings"; empty if there is no difference.
std::string Differences(const RunIdentity& ours, const RunIdentity& theirs) {
  std::string names;
  for (const auto& [name, value] : ours) {
    const auto found = theirs.find(name);
    if (found != theirs.end() && found->second == value) continue;
    names.append(names.empty() ? "" : ", ").append(name);
  }
  return names;
}

topk::Status NotOurs(const std::string& path, const std::string& reason) {
  return topk::InvalidArgument(path + " " + reason +
                               ": name another folder with --output, or begin anew with --restart");
}

}  // namespace

topk::Status SaveStateFile(const std::string& path, const StateFormat& format, const RunIdentity& run, Json items) {
  Json json = {{"format", format.name}, {"run", run}};
  json[std::string(format.items)] = std::move(items);
  const std::vector<uint8_t> bytes = Json::to_cbor(json);
  return WriteFileAtomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

topk::Status LoadStateFile(const std::string& path, const StateFormat& format, const RunIdentity& run,
                           const std::function<void(const Json&)>& read) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return NotOurs(path, "cannot be read");
  try {
    const Json json = Json::from_cbor(bytes);
    if (json.at("format") != format.name)
      return NotOurs(path, "is of another subcommand, or of another version of this program");
    if (const std::string names = Differences(run, json.at("run")); !names.empty()) {
      return NotOurs(path, "has the " + std::string(format.items) + " of another run, which differs in: " + names);
    }
    read(json.at(std::string(format.items)));
    return {};
  } catch (const std::exception&) {
    return NotOurs(path, "is not the state of a run, or is damaged");
  }
}

Json StatisticsJson(const topk::Statistics& statistics) {
  return {
      {"rows", statistics.rows},           {"dense_rows", statistics.dense_rows},   {"keys_seen", statistics.keys_seen},
      {"keys_kept", statistics.keys_kept}, {"keys_scored", statistics.keys_scored}, {"mass_rows", statistics.mass_rows},
      {"mass_sum", statistics.mass_sum},   {"mass_min", statistics.mass_min},       {"seconds", statistics.seconds}};
}

topk::Statistics StatisticsOf(const Json& json) {
  return {.rows = json.at("rows"),
          .dense_rows = json.at("dense_rows"),
          .keys_seen = json.at("keys_seen"),
          .keys_kept = json.at("keys_kept"),
          .keys_scored = json.at("keys_scored"),
          .mass_rows = json.at("mass_rows"),
          .mass_sum = json.at("mass_sum"),
          .mass_min = json.at("mass_min"),
          .seconds = json.at("seconds")};
}

}  // namespace qwen_infer::eval
