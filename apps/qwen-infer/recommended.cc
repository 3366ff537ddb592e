#include "recommended.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "columns.h"
#include "recommended_data.h"

namespace qwen_infer {

namespace {

using Json = nlohmann::ordered_json;  // texts in the order of the file

// "+0.01 (-0.26 to +0.26)"
std::string Change(const Json& change) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%+.2f (%+.2f to %+.2f)", change.at("mean").get<double>(),
                change.at("low").get<double>(), change.at("high").get<double>());
  return text.data();
}

// A line of the table: its cells side by side.
std::string Line(const std::vector<std::string>& cells) {
  constexpr std::array<size_t, 3> kWidths = {14, 6, 17};  // of what comes before the texts
  constexpr size_t kTextWidth = 26;
  std::string line = "  ";
  for (size_t i = 0; i < cells.size(); ++i) line += Pad(cells[i], i < kWidths.size() ? kWidths[i] : kTextWidth);
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

std::string Row(const Json& band) {
  const Json& k = band.at("k");
  std::array<char, 16> dropped{};
  std::snprintf(dropped.data(), dropped.size(), "%.0f %%", 100 * (1 - band.at("kept_share").get<double>()));
  std::vector<std::string> cells = {band.at("first").dump() + "-" + band.at("last").dump(),
                                    k.is_string() ? k.get<std::string>() : k.dump(), dropped.data()};
  for (const Json& of_text : band.at("evidence")) cells.push_back(Change(of_text.at("change_percent")));
  return Line(cells);
}

}  // namespace

std::string RecommendedTable() {
  const Json data = Json::parse(kRecommendedJson);  // of the build, so that it cannot fail
  std::vector<std::string> head = {"visible keys", "k", "scores not kept"};
  std::string models;
  for (const auto& [name, measurement] : data.at("measurements").items()) {
    head.push_back("perplexity, " + name + ", %");
    const auto model = measurement.at("model").get<std::string>();
    if (models.find(model) == std::string::npos) models += (models.empty() ? "" : ", ") + model;
  }
  std::string text = Line(head) + "\n";
  for (const Json& band : data.at("bands")) text += Row(band) + "\n";
  return text + "  Change against full attention with its 95 % interval, measured with " + models +
         ".\n  For longer texts, which were not measured: k=auto.";
}

}  // namespace qwen_infer
