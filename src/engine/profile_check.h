// Whether settings that come from a profile may be used with a model.
#ifndef QWEN_INFER_SRC_ENGINE_PROFILE_CHECK_H_
#define QWEN_INFER_SRC_ENGINE_PROFILE_CHECK_H_

#include <string>

#include "ggml/settings.h"
#include "topk/status.h"

namespace qwen_infer {

// kInvalidArgument, naming both models, if the settings are of a profile of another model than this file. Reads samples
// of the file; one that is missing is left to who loads it. Settings without a profile fit every model.
topk::Status CheckProfileIsOf(const Settings& settings, const std::string& model_path);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_PROFILE_CHECK_H_
