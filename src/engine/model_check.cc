#include "engine/model_check.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>

#include "engine/model_file.h"
#include "ggml/profile.h"

namespace qwen_infer {

topk::Status CheckFitsModel(const Settings& settings, const std::string& model_path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(model_path, error)) return {};
  if (settings.made_for != nullptr) {
    const std::string name = std::filesystem::path(model_path).filename().string();
    const topk::Status status = CheckModel(*settings.made_for, name, Fingerprint(model_path));
    if (!status.ok()) return status;
  }
  if (settings.LastNamedLayer().layer < 0) return {};
  const std::optional<int64_t> n_layer = LayerCount(model_path);
  return n_layer ? settings.CheckLayers(*n_layer) : topk::Status();
}

}  // namespace qwen_infer
