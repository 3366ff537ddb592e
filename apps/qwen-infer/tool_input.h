// What llama.cpp's tools would take without a word, or refuse without naming it: checked before they run.
#ifndef QWEN_INFER_APPS_TOOL_INPUT_H_
#define QWEN_INFER_APPS_TOOL_INPUT_H_

#include <span>
#include <string>

#include "topk/status.h"

namespace qwen_infer {

// Refuses, naming value and remedy, a --temp that is negative or no number, and a prompt (-p, -f) that is no UTF-8 or
// empty. `llama`: the arguments for llama.cpp.
topk::Status CheckToolInput(std::span<const std::string> llama);

// Of the text that -p has alone.
topk::Status CheckPrompt(const std::string& text);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_TOOL_INPUT_H_
