// The body of POST /topk/config: {"k": 128, "sinks": 4, "mass": "exact", "k@0-1": 1024}. Names and values are those of
// the settings string (src/ggml/settings.h).
#ifndef QWEN_INFER_APPS_SERVE_CONFIG_H_
#define QWEN_INFER_APPS_SERVE_CONFIG_H_

#include <string_view>

#include "settings.h"
#include "topk/status.h"

namespace qwen_infer {

// Reads the members on top of `settings`, which is unchanged on error. kInvalidArgument for what is no such object or
// is empty, for unknown names, for values out of range, and for recordings: they write files, which is for the user of
// the machine alone.
topk::Status ApplyConfig(std::string_view body, Settings& settings);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_CONFIG_H_
