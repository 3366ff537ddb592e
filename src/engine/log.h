// llama.cpp's messages on the way to an exception.
#ifndef QWEN_INFER_SRC_ENGINE_LOG_H_
#define QWEN_INFER_SRC_ENGINE_LOG_H_

#include <string>
#include <string_view>

namespace qwen_infer {

// Forgets the errors so far. Errors of other threads may come in between: they are for people, not for decisions.
void ForgetErrors();

// `what`, a colon and what llama.cpp has logged as errors since ForgetErrors; `what` alone if nothing, or if
// SetLogLevel was never called.
std::string WithErrors(std::string_view what);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_LOG_H_
