// Whether settings may be used with a model.
#ifndef QWEN_INFER_SRC_ENGINE_MODEL_CHECK_H_
#define QWEN_INFER_SRC_ENGINE_MODEL_CHECK_H_

#include <string>

#include "ggml/settings.h"
#include "topk/status.h"

namespace qwen_infer {

// kInvalidArgument if the settings are of a profile of another model than this file, naming both, or about a layer that
// it does not have, naming that. Reads samples of the file, and its description, as far as the settings ask for it; a
// file that is missing or no model is left to who loads it.
topk::Status CheckFitsModel(const Settings& settings, const std::string& model_path);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_MODEL_CHECK_H_
