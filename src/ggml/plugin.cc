#include "plugin.h"

#include <ggml-backend-impl.h>

#include <nlohmann/json.hpp>
#include <string>

#include "backend.h"
#include "state.h"
#include "version.h"

namespace qwen_infer {

topk::Status RegisterTopK(const Settings& settings) {
  if (const std::string mismatch = VersionMismatch(BuiltGgmlVersion(), LoadedGgmlVersion()); !mismatch.empty()) {
    return topk::InvalidArgument(mismatch);
  }
  if (ggml_backend_reg_by_name(kBackendName) != nullptr) {
    return topk::InvalidArgument(
        "there is a backend TOPK already; unset GGML_BACKEND_PATH if it names libggml-topk.so");
  }
  if (topk::Status status = SetSettings(settings); !status.ok()) return status;
  ggml_backend_register(TopKRegistration());
  return {};
}

topk::Status RegisterTopK(std::string_view settings) {
  Settings parsed;
  if (topk::Status status = ParseSettings(settings, parsed); !status.ok()) return status;
  return RegisterTopK(parsed);
}

topk::Status SetSettings(const Settings& settings) {
  if (topk::Status status = settings.Validate(); !status.ok()) return status;
  return State::Instance().set_settings(settings);
}

Settings CurrentSettings() { return *State::Instance().settings(); }

std::vector<LayerStatistics> GetStatistics() { return State::Instance().statistics().Get(); }

void ResetStatistics() { State::Instance().statistics().Reset(); }

std::string LastError() { return State::Instance().last_error(); }

nlohmann::ordered_json CurrentStatisticsJson() { return StatisticsJson(CurrentSettings(), GetStatistics()); }

}  // namespace qwen_infer
