#include "state.h"

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "atomic_file.h"

namespace qwen_infer::eval {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kStateFormat = "qwen-infer eval 1";

static_assert(std::endian::native == std::endian::little, "numbers are stored as they are in memory");

template <typename T>
Json Bytes(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return Json::binary(std::move(bytes));
}

template <typename T>
std::vector<T> Values(const Json& json) {
  const std::vector<uint8_t>& bytes = json.get_binary();
  if (bytes.size() % sizeof(T) != 0) throw std::runtime_error("a list of numbers ends in the middle of one");
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Json AttentionJson(const topk::Statistics& statistics) {
  return {
      {"rows", statistics.rows},           {"dense_rows", statistics.dense_rows},   {"keys_seen", statistics.keys_seen},
      {"keys_kept", statistics.keys_kept}, {"keys_scored", statistics.keys_scored}, {"mass_rows", statistics.mass_rows},
      {"mass_sum", statistics.mass_sum},   {"mass_min", statistics.mass_min},       {"seconds", statistics.seconds}};
}

topk::Statistics AttentionOf(const Json& json) {
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

Json WayJson(const WayScores& way) {
  return {{"nll", Bytes(way.nll)},
          {"kl", Bytes(way.kl)},
          {"agrees", Bytes(way.agrees)},
          {"seconds", way.seconds},
          {"attention", AttentionJson(way.attention)}};
}

WayScores WayOf(const Json& json) {
  WayScores way = {.nll = Values<float>(json.at("nll")),
                   .kl = Values<float>(json.at("kl")),
                   .agrees = Values<uint8_t>(json.at("agrees")),
                   .seconds = json.at("seconds"),
                   .attention = AttentionOf(json.at("attention"))};
  if (way.kl.size() != way.nll.size() || way.agrees.size() != way.nll.size()) {
    throw std::runtime_error("its lists differ in length");
  }
  return way;
}

std::vector<WindowScores> WindowsOf(const Json& json) {
  std::vector<WindowScores> windows;
  for (const Json& window : json) {
    WindowScores scores;
    for (const Json& way : window) scores.push_back(WayOf(way));
    windows.push_back(std::move(scores));
  }
  return windows;
}

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

topk::Status SaveState(const std::string& path, const RunIdentity& run, const std::vector<WindowScores>& windows) {
  Json json = {{"format", kStateFormat}, {"run", run}, {"windows", Json::array()}};
  for (const WindowScores& window : windows) {
    Json ways = Json::array();
    for (const WayScores& way : window) ways.push_back(WayJson(way));
    json["windows"].push_back(std::move(ways));
  }
  const std::vector<uint8_t> bytes = Json::to_cbor(json);
  return WriteFileAtomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

topk::Status LoadState(const std::string& path, const RunIdentity& run, std::vector<WindowScores>& windows) {
  windows.clear();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return NotOurs(path, "cannot be read");
  try {
    const Json json = Json::from_cbor(bytes);
    if (json.at("format") != kStateFormat) return NotOurs(path, "is of another version of this program");
    if (const std::string names = Differences(run, json.at("run")); !names.empty()) {
      return NotOurs(path, "has the windows of another run, which differs in: " + names);
    }
    windows = WindowsOf(json.at("windows"));
    return {};
  } catch (const std::exception&) {
    return NotOurs(path, "is not the state of a run, or is damaged");
  }
}

}  // namespace qwen_infer::eval
