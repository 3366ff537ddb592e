#include "engine/profile_check.h"

#include <filesystem>
#include <system_error>

#include "engine/model_file.h"
#include "ggml/profile.h"

namespace qwen_infer {

topk::Status CheckProfileIsOf(const Settings& settings, const std::string& model_path) {
  std::error_code error;
  if (settings.made_for == nullptr || !std::filesystem::is_regular_file(model_path, error)) return {};
  const std::string name = std::filesystem::path(model_path).filename().string();
  return CheckModel(*settings.made_for, name, Fingerprint(model_path));
}

}  // namespace qwen_infer
