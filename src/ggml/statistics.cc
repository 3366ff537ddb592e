#include "statistics.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace qwen_infer {
namespace {

using Json = nlohmann::ordered_json;

Json SumsJson(const LayerStatistics& statistics) {
  const topk::Statistics& sums = statistics.sums;
  const bool mass_known = sums.mass_rows > 0;
  return {{"calls", statistics.calls},
          {"fallback_calls", statistics.fallback_calls},
          {"rows", sums.rows},
          {"dense_rows", sums.dense_rows},
          {"keys_seen", sums.keys_seen},
          {"keys_kept", sums.keys_kept},
          {"mass_rows", sums.mass_rows},
          {"mean_mass", mass_known ? Json(sums.MeanMass()) : Json(nullptr)},
          {"min_mass", mass_known ? Json(sums.mass_min) : Json(nullptr)},
          {"deviation_bound", mass_known && sums.mass_rows == sums.rows ? Json(sums.DeviationBound()) : Json(nullptr)},
          {"operations_saved", sums.OperationsSaved()},
          {"score_bytes_saved", sums.BytesSaved()},
          {"seconds", sums.seconds}};
}

const char* MassModeName(topk::MassMode mode) {
  switch (mode) {
    case topk::MassMode::kOff: return "off";
    case topk::MassMode::kSampled: return "sampled";
    case topk::MassMode::kExact: return "exact";
  }
  return "unknown";
}

}  // namespace

void StatisticsBook::Add(int layer, const topk::Statistics& call) {
  const std::lock_guard lock(mutex_);
  LayerStatistics& entry = layers_[layer];
  entry.layer = layer;
  ++entry.calls;
  if (call.dense_rows == call.rows) ++entry.fallback_calls;
  entry.sums.Add(call);
}

std::vector<LayerStatistics> StatisticsBook::Get() const {
  const std::lock_guard lock(mutex_);
  std::vector<LayerStatistics> all;
  all.reserve(layers_.size());
  for (const auto& [layer, statistics] : layers_) all.push_back(statistics);
  return all;
}

void StatisticsBook::Reset() {
  const std::lock_guard lock(mutex_);
  layers_.clear();
}

LayerStatistics Total(std::span<const LayerStatistics> layers) {
  LayerStatistics total;
  for (const LayerStatistics& statistics : layers) {
    total.calls += statistics.calls;
    total.fallback_calls += statistics.fallback_calls;
    total.sums.Add(statistics.sums);
  }
  return total;
}

Json StatisticsJson(const Settings& settings, std::span<const LayerStatistics> layers) {
  // min_mass implies exact measurement.
  const topk::MassMode mode = settings.options.min_mass > 0 ? topk::MassMode::kExact : settings.options.mass;
  Json json = {{"settings", FormatSettings(settings)},
               {"mass_mode", MassModeName(mode)},
               {"total", SumsJson(Total(layers))},
               {"layers", Json::array()}};
  for (const LayerStatistics& statistics : layers) {
    Json layer = {{"layer", statistics.layer == kUnknownLayer ? Json(nullptr) : Json(statistics.layer)}};
    layer.update(SumsJson(statistics));
    json["layers"].push_back(std::move(layer));
  }
  return json;
}

std::string StatisticsSummary(std::span<const LayerStatistics> layers) {
  const LayerStatistics total = Total(layers);
  const topk::Statistics& sums = total.sums;
  std::string summary = std::to_string(layers.size()) + " layers, " + std::to_string(total.calls) + " calls, " +
                        std::to_string(sums.rows) + " rows (" + std::to_string(sums.dense_rows) + " dense): kept " +
                        std::to_string(sums.keys_kept) + " of " + std::to_string(sums.keys_seen) + " keys";
  char text[128];
  std::snprintf(text, sizeof(text), " (%.1f %%), %.3f s", 100 * sums.KeptShare(), sums.seconds);
  summary += text;
  if (sums.mass_rows > 0) {
    std::snprintf(text, sizeof(text), ", mass of %lld rows: mean %.4f, min %.4f",
                  static_cast<long long>(sums.mass_rows), sums.MeanMass(), sums.mass_min);
    summary += text;
  }
  return summary;
}

}  // namespace qwen_infer
