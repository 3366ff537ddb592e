// Windows of tokens, spread evenly over a text.
#ifndef QWEN_INFER_EVAL_WINDOWS_H_
#define QWEN_INFER_EVAL_WINDOWS_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer::eval {

using Tokenizer = std::function<std::vector<Token>(std::string_view)>;

// `count` windows of `size` tokens. The text is cut into `count` parts of about as many bytes at ends of lines; each
// window is the start of a part, so that they come from all over the text and do not overlap. Only what is needed is
// tokenized. kInvalidArgument, naming numbers that would fit, if a part is too short. The text is UTF-8.
topk::Status CutWindows(std::string_view text, int64_t count, int64_t size, const Tokenizer& tokenize,
                        std::vector<std::vector<Token>>& out);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_WINDOWS_H_
