#include <llama.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/backends.h"
#include "engine/log.h"
#include "engine/model_file.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

constexpr std::array<std::pair<std::string_view, WeightType>, 2> kWeightTypes = {{
    {"Q8_0", WeightType::kQ8_0},
    {"Q4_K_M", WeightType::kQ4_K_M},
}};

}  // namespace

WeightType ParseWeightType(std::string_view name) {
  std::string names;
  for (const auto& [known, type] : kWeightTypes) {
    if (known == name) return type;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  throw std::invalid_argument("the type of weights '" + std::string(name) + "' is none of " + names);
}

void Quantize(const std::string& path, WeightType type, const std::string& output) {
  EnsureBackends();
  // llama.cpp would read its own output.
  if (std::error_code error; std::filesystem::equivalent(path, output, error)) {
    throw std::invalid_argument(output + " cannot be made from itself: name another file");
  }
  CheckModelFile(path);
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = type == WeightType::kQ8_0 ? LLAMA_FTYPE_MOSTLY_Q8_0 : LLAMA_FTYPE_MOSTLY_Q4_K_M;
  ForgetErrors();
  if (llama_model_quantize(path.c_str(), output.c_str(), &params) != 0) {
    throw FileError(WithErrors("cannot quantize " + path + " into " + output));
  }
}

}  // namespace qwen_infer
