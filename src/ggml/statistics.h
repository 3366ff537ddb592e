// What top-k attention did since the start of the process or the last reset, layer by layer.
#ifndef QWEN_INFER_SRC_GGML_STATISTICS_H_
#define QWEN_INFER_SRC_GGML_STATISTICS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "qwen_infer/statistics.h"
#include "settings.h"
#include "topk/attention.h"

namespace qwen_infer {

// Adds calls up. All functions may be called from any thread at any time; a reader never sees half a call.
class StatisticsBook {
 public:
  void Add(int layer, const topk::Statistics& call);
  // Ascending by layer; layers that have not run are left out.
  std::vector<LayerStatistics> Get() const;
  void Reset();

 private:
  mutable std::mutex mutex_;
  std::map<int, LayerStatistics> layers_;
};

// The sum over layers; its `layer` is kUnknownLayer.
LayerStatistics Total(std::span<const LayerStatistics> layers);

// {"settings": "k=256,...", "mass_mode": "sampled", "total": {...}, "layers": [{"layer": 0, ...}, ...]}; each {...} has
// calls, fallback_calls, rows, dense_rows, keys_seen, keys_kept, mass_rows, mean_mass, min_mass (over mass_rows; null
// if that is 0), deviation_bound (topk::Statistics::DeviationBound; null unless the mass of every row was measured),
// operations_saved, score_bytes_saved (4 for each score that a dense softmax would keep and this one did not, summed
// over all rows: not memory that was free at any one time), seconds. "layer" is null for attention that belongs to no
// known layer.
nlohmann::ordered_json StatisticsJson(const Settings& settings, std::span<const LayerStatistics> layers);

// One line for a log: "24 layers, 96 calls, 1344 rows (12 dense): kept 344064 of 1376256 keys (25.0 %), ...".
std::string StatisticsSummary(std::span<const LayerStatistics> layers);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_STATISTICS_H_
