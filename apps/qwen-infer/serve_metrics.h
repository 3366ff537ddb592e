// What top-k attention did, for Prometheus: the figures of GET /topk/stats, layer by layer, as GET /metrics has them.
#ifndef QWEN_INFER_APPS_SERVE_METRICS_H_
#define QWEN_INFER_APPS_SERVE_METRICS_H_

#include <span>
#include <string>

#include "settings.h"
#include "statistics.h"

namespace qwen_infer {

// Prometheus' text format, version 0.0.4. Counters have a label "layer" (a number, or "unknown"); the share of keys
// kept is rate(topk_keys_kept_total) / rate(topk_keys_seen_total), the mean mass rate(topk_mass_sum) /
// rate(topk_mass_count). Counters start at zero again after a reset of the statistics, as Prometheus expects.
std::string PrometheusText(const Settings& settings, std::span<const LayerStatistics> layers);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_METRICS_H_
