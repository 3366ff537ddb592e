#include "crossover.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "topk/attention.h"

namespace qwen_infer {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMaxFileBytes = 1 << 16;
constexpr int64_t kMaxCrossover = int64_t{1} << 30;  // of topk

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t name = line.find_first_not_of(" \t", line.find(':') + 1);
    if (name != std::string::npos) return line.substr(name);
  }
  return "unknown";
}

// How far apart two positive numbers are in proportion.
double Distance(int64_t a, int64_t b) {
  return std::abs(std::log(static_cast<double>(std::max<int64_t>(a, 1)) / static_cast<double>(b)));
}

int64_t IntegerAt(const Json& json, const char* name, int64_t min, int64_t max) {
  const Json& value = json.at(name);
  if (!value.is_number_integer() || value < min || value > max) {
    throw std::out_of_range(std::string(name) + " is " + value.dump() + ", allowed is " + std::to_string(min) + " to " +
                            std::to_string(max));
  }
  return value.get<int64_t>();
}

}  // namespace

Machine ThisMachine() {
  return {ProcessorName(), static_cast<int>(std::thread::hardware_concurrency()), QWEN_INFER_VERSION};
}

int64_t CrossoverTable::Find(int64_t head_size, int64_t n_query, int64_t fallback) const {
  const auto nearest = std::min_element(entries.begin(), entries.end(), [&](const Crossover& a, const Crossover& b) {
    return std::pair(Distance(head_size, a.head_size), Distance(n_query, a.n_query)) <
           std::pair(Distance(head_size, b.head_size), Distance(n_query, b.n_query));
  });
  return nearest == entries.end() ? fallback : nearest->n_key;
}

int64_t CrossoverForBudget(int64_t crossover, int64_t k) {
  if (k <= kCalibratedBudget) return crossover;
  const double scaled = static_cast<double>(crossover) * static_cast<double>(k) / kCalibratedBudget;
  return static_cast<int64_t>(std::min(scaled, static_cast<double>(kMaxCrossover)));
}

std::string CrossoverPath() {
  const auto in = [](const char* variable, const char* below) -> std::string {
    const char* folder = std::getenv(variable);
    if (folder == nullptr || *folder == '\0') return "";
    return (fs::path(folder) / below / "crossover.json").lexically_normal().string();
  };
  for (const auto& [variable, below] : {std::pair("QWEN_INFER_CACHE", "."), std::pair("XDG_CACHE_HOME", "qwen-infer"),
                                        std::pair("HOME", ".cache/qwen-infer")}) {
    if (std::string path = in(variable, below); !path.empty()) return path;
  }
  return "";
}

std::string FormatCrossovers(const CrossoverTable& table) {
  Json json = {{"processor", table.machine.processor},
               {"threads", table.machine.threads},
               {"version", table.machine.version},
               {"crossovers", Json::array()}};
  for (const Crossover& entry : table.entries) {
    json["crossovers"].push_back({{"head_size", entry.head_size}, {"queries", entry.n_query}, {"keys", entry.n_key}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

topk::Status ParseCrossovers(std::string_view text, CrossoverTable& out) {
  try {
    const Json json = Json::parse(text);
    CrossoverTable table;
    table.machine.processor = json.at("processor").get<std::string>();
    table.machine.threads = static_cast<int>(IntegerAt(json, "threads", 0, 1 << 20));
    table.machine.version = json.at("version").get<std::string>();
    for (const Json& entry : json.at("crossovers")) {
      table.entries.push_back({IntegerAt(entry, "head_size", 1, topk::kMaxHeadSize),
                               IntegerAt(entry, "queries", 1, topk::kMaxKeys),
                               IntegerAt(entry, "keys", 0, kMaxCrossover)});
    }
    out = std::move(table);
    return {};
  } catch (const std::exception& error) {
    return topk::InvalidArgument(error.what());
  }
}

CrossoverTable LoadCrossovers(const std::string& path, const Machine& machine, std::string& warning) {
  std::error_code error;
  if (path.empty() || !fs::exists(path, error)) return {};
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  CrossoverTable table;
  const topk::Status status = ParseCrossovers(text, table);
  if (status.ok() && table.machine == machine) return table;
  warning = path +
            " is ignored: " + (status.ok() ? "it was measured on another machine or version" : status.message()) +
            "; `qwen-infer calibrate` measures anew";
  return {};
}

}  // namespace qwen_infer
