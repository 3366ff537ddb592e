#include "figures_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace qwen_infer::inspect {

namespace {

using Value = nlohmann::ordered_json;

double Share(double part, double all) { return all > 0 ? part / all : 0; }

void AddFigures(const HeadFigures& figures, Value& out) {
  out["kept_share"] = figures.sums.KeptShare();
  const bool is_known = figures.sums.mass_rows > 0;
  out["mean_mass"] = is_known ? Value(figures.sums.MeanMass()) : Value();
  out["min_mass"] = is_known ? Value(figures.sums.mass_min) : Value();
}

Value HeadJson(const HeadFigures& figures) {
  Value out;
  AddFigures(figures, out);
  const double weight = std::accumulate(figures.weight.begin(), figures.weight.end(), 0.0);
  for (size_t bin = 0; bin < kDistanceBins; ++bin) {
    out["weight_by_distance"].push_back(Share(figures.weight[bin], weight));
    out["kept_by_distance"].push_back(
        Share(static_cast<double>(figures.kept[bin]), static_cast<double>(figures.sums.keys_kept)));
  }
  return out;
}

Value MostAttendedJson(const std::vector<double>& received, const Report& report) {
  const double all = std::accumulate(received.begin(), received.end(), 0.0);
  Value out = Value::array();
  for (const size_t key : MostAttended(received)) {
    out.push_back({{"position", key},
                   {"token", report.tokens[key]},
                   {"text", report.pieces[key]},
                   {"share", Share(received[key], all)}});
  }
  return out;
}

Value SettingJson(const SettingCapture& setting, const Report& report) {
  Value out = {{"name", setting.name}, {"settings", setting.settings}};
  AddFigures(Total(*setting.capture), out);
  out["most_attended"] = MostAttendedJson(MeanReceived(*setting.capture), report);
  out["layers"] = Value::array();
  for (const LayerCapture* layer : setting.capture->layers()) {
    Value of_layer = {{"layer", layer->layer}, {"most_attended", MostAttendedJson(layer->received, report)}};
    for (const HeadFigures& head : layer->heads) of_layer["heads"].push_back(HeadJson(head));
    out["layers"].push_back(std::move(of_layer));
  }
  return out;
}

}  // namespace

std::vector<double> MeanReceived(const Capture& capture) {
  std::vector<double> mean(static_cast<size_t>(capture.n_token()));
  const std::vector<const LayerCapture*> layers = capture.layers();
  for (const LayerCapture* layer : layers) {
    for (size_t key = 0; key < mean.size(); ++key) {
      mean[key] += layer->received[key] / static_cast<double>(layers.size());
    }
  }
  return mean;
}

std::vector<size_t> MostAttended(const std::vector<double>& received) {
  std::vector<size_t> keys(received.size());
  std::iota(keys.begin(), keys.end(), size_t{0});
  const size_t count = std::min(kMostAttended, keys.size());
  std::partial_sort(keys.begin(), keys.begin() + static_cast<ptrdiff_t>(count), keys.end(), [&](size_t a, size_t b) {
    return received[a] > received[b] || (received[a] == received[b] && a < b);
  });
  keys.resize(count);
  return keys;
}

Value FiguresJson(const Report& report) {
  Value out = {{"program", "qwen-infer inspect"},
               {"model", report.model},
               {"model_description", report.model_description},
               {"prompt_file", report.prompt_file},
               {"date", report.date},
               {"versions", report.versions},
               {"cache_type", report.cache_type},
               {"n_layer", report.n_layer},
               {"n_token", report.tokens.size()},
               {"strongest", report.settings.front().capture->strongest()},
               {"settings", Value::array()}};
  for (const SettingCapture& setting : report.settings) out["settings"].push_back(SettingJson(setting, report));
  return out;
}

}  // namespace qwen_infer::inspect
