#include "report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "figures_json.h"

namespace qwen_infer::inspect {

HeadFigures Total(const Capture& capture) {
  HeadFigures total;
  for (const LayerCapture* layer : capture.layers()) {
    for (const HeadFigures& head : layer->heads) {
      total.sums.Add(head.sums);
      for (size_t bin = 0; bin < kDistanceBins; ++bin) {
        total.weight[bin] += head.weight[bin];
        total.kept[bin] += head.kept[bin];
      }
    }
  }
  return total;
}

std::string Table(const Report& report) {
  constexpr const char* kSetting = "setting";
  constexpr double kPercent = 100;
  size_t width = std::string_view(kSetting).size();
  for (const SettingCapture& setting : report.settings) width = std::max(width, setting.name.size());
  const auto padded = [&](std::string text) {
    text.resize(width, ' ');
    return text;
  };
  std::string text = padded(kSetting) + "  keys kept  mean mass  minimum mass\n";
  for (const SettingCapture& setting : report.settings) {
    const HeadFigures total = Total(*setting.capture);
    std::array<char, 64> line = {};
    std::snprintf(line.data(), line.size(), "  %7.2f %%  %9.4f  %12.4f\n", kPercent * total.sums.KeptShare(),
                  total.sums.MeanMass(), total.sums.mass_min);
    text += padded(setting.name) + line.data();
  }
  return text;
}

std::string Json(const Report& report) {
  return FiguresJson(report).dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace qwen_infer::inspect
