// The functions of c_api.h by name.
#ifndef QWEN_INFER_SRC_GGML_PROCS_H_
#define QWEN_INFER_SRC_GGML_PROCS_H_

#include <string_view>

namespace qwen_infer {

// The function of that name, to be cast to its type in c_api.h; null if there is none.
void* ProcAddress(std::string_view name);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_PROCS_H_
