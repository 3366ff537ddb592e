#include "serve_metrics.h"

#include <cstdint>
#include <sstream>
#include <string>

namespace qwen_infer {

namespace {

std::string LayerLabel(int layer) { return layer == kUnknownLayer ? "unknown" : std::to_string(layer); }

struct Counter {
  const char* name;
  const char* help;
  double (*value)(const LayerStatistics& layer);
};

constexpr Counter kCounters[] = {
    {"topk_calls_total", "Attention operations computed",
     [](const LayerStatistics& layer) { return static_cast<double>(layer.calls); }},
    {"topk_rows_total", "Rows computed: one query of one head each",
     [](const LayerStatistics& layer) { return static_cast<double>(layer.sums.rows); }},
    {"topk_dense_rows_total", "Rows that kept every key",
     [](const LayerStatistics& layer) { return static_cast<double>(layer.sums.dense_rows); }},
    {"topk_keys_seen_total", "Visible keys, summed over rows",
     [](const LayerStatistics& layer) { return static_cast<double>(layer.sums.keys_seen); }},
    {"topk_keys_kept_total", "Keys kept, summed over rows",
     [](const LayerStatistics& layer) { return static_cast<double>(layer.sums.keys_kept); }},
    {"topk_score_bytes_saved_total", "4 bytes for each score that a dense softmax would keep and this one did not",
     [](const LayerStatistics& layer) { return static_cast<double>(layer.sums.BytesSaved()); }},
    {"topk_attention_seconds_total", "Time in attention",
     [](const LayerStatistics& layer) { return layer.sums.seconds; }},
};

void Head(std::ostream& out, const char* name, const char* help, const char* type) {
  out << "# HELP " << name << " " << help << ".\n# TYPE " << name << " " << type << "\n";
}

}  // namespace

std::string PrometheusText(const Settings& settings, std::span<const LayerStatistics> layers) {
  std::ostringstream out;
  out.precision(17);  // a double, to the last bit
  for (const Counter& counter : kCounters) {
    Head(out, counter.name, counter.help, "counter");
    for (const LayerStatistics& layer : layers) {
      out << counter.name << "{layer=\"" << LayerLabel(layer.layer) << "\"} " << counter.value(layer) << "\n";
    }
  }
  Head(out, "topk_mass", "Share of the full softmax that the kept keys have, of rows where it was measured", "summary");
  for (const LayerStatistics& layer : layers) {
    const std::string labels = "{layer=\"" + LayerLabel(layer.layer) + "\"} ";
    out << "topk_mass_sum" << labels << layer.sums.mass_sum << "\n";
    out << "topk_mass_count" << labels << layer.sums.mass_rows << "\n";
  }
  Head(out, "topk_mass_minimum", "Smallest mass of a row since the start or the last reset", "gauge");
  for (const LayerStatistics& layer : layers) {
    if (layer.sums.mass_rows == 0) continue;
    out << "topk_mass_minimum{layer=\"" << LayerLabel(layer.layer) << "\"} " << layer.sums.mass_min << "\n";
  }
  Head(out, "topk_settings_info", "Settings in force", "gauge");
  // Names and numbers: nothing that would need escaping, once the files of recordings are left out.
  Settings shown = settings;
  shown.recordings.clear();
  out << "topk_settings_info{settings=\"" << FormatSettings(shown) << "\"} 1\n";
  return out.str();
}

}  // namespace qwen_infer
