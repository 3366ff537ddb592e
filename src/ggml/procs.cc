#include "procs.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "c_api.h"
#include "state.h"

namespace qwen_infer {
namespace {

int32_t GetStatistics(topk_layer_statistics* layers, int32_t capacity) {
  try {
    const std::vector<LayerStatistics> all = State::Instance().statistics().Get();
    const auto count = static_cast<int32_t>(all.size());
    for (int32_t i = 0; i < std::min(count, capacity); ++i) {
      const topk::Statistics& sums = all[i].sums;
      layers[i] = {all[i].layer,    0,
                   all[i].calls,    sums.rows,
                   sums.dense_rows, sums.keys_seen,
                   sums.keys_kept,  sums.mass_rows,
                   sums.mass_sum,   sums.mass_min,
                   sums.seconds};
    }
    return count;
  } catch (const std::exception&) {
    return -1;
  }
}

void ResetStatistics() { State::Instance().statistics().Reset(); }

int32_t Refuse(const char* reason, char* message, size_t message_size) {
  if (message_size > 0) {
    const size_t length = std::min(std::strlen(reason), message_size - 1);
    std::memcpy(message, reason, length);
    message[length] = '\0';
  }
  return 1;
}

int32_t SetSettings(const char* text, char* message, size_t message_size) {
  try {
    Settings settings;
    topk::Status status = ParseSettings(text, settings);
    if (status.ok()) status = State::Instance().set_settings(std::move(settings));
    return status.ok() ? 0 : Refuse(status.message().c_str(), message, message_size);
  } catch (const std::exception& error) {
    return Refuse(error.what(), message, message_size);
  }
}

// Typed, so that a function that drifts from c_api.h does not compile.
constexpr topk_get_statistics_t kGetStatistics = GetStatistics;
constexpr topk_reset_statistics_t kResetStatistics = ResetStatistics;
constexpr topk_set_settings_t kSetSettings = SetSettings;

}  // namespace

void* ProcAddress(std::string_view name) {
  if (name == "topk_get_statistics") return reinterpret_cast<void*>(kGetStatistics);
  if (name == "topk_reset_statistics") return reinterpret_cast<void*>(kResetStatistics);
  if (name == "topk_set_settings") return reinterpret_cast<void*>(kSetSettings);
  return nullptr;
}

}  // namespace qwen_infer
