#include "state.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace qwen_infer::eval {

namespace {

using Json = nlohmann::json;

constexpr StateFormat kFormat = {.name = "qwen-infer eval 1", .items = "windows"};

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

Json WayJson(const WayScores& way) {
  return {{"nll", Bytes(way.nll)},
          {"kl", Bytes(way.kl)},
          {"agrees", Bytes(way.agrees)},
          {"seconds", way.seconds},
          {"attention", StatisticsJson(way.attention)}};
}

WayScores WayOf(const Json& json) {
  WayScores way = {.nll = Values<float>(json.at("nll")),
                   .kl = Values<float>(json.at("kl")),
                   .agrees = Values<uint8_t>(json.at("agrees")),
                   .seconds = json.at("seconds"),
                   .attention = StatisticsOf(json.at("attention"))};
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

}  // namespace

topk::Status SaveState(const std::string& path, const RunIdentity& run, const std::vector<WindowScores>& windows) {
  Json items = Json::array();
  for (const WindowScores& window : windows) {
    Json ways = Json::array();
    for (const WayScores& way : window) ways.push_back(WayJson(way));
    items.push_back(std::move(ways));
  }
  return SaveStateFile(path, kFormat, run, std::move(items));
}

topk::Status LoadState(const std::string& path, const RunIdentity& run, std::vector<WindowScores>& windows) {
  windows.clear();
  return LoadStateFile(path, kFormat, run, [&windows](const Json& items) { windows = WindowsOf(items); });
}

}  // namespace qwen_infer::eval
