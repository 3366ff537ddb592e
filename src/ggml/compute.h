// One attention op from start to end: settings of its layer, recording, kernel, statistics.
#ifndef QWEN_INFER_SRC_GGML_COMPUTE_H_
#define QWEN_INFER_SRC_GGML_COMPUTE_H_

#include "settings.h"
#include "state.h"
#include "topk/parallel.h"
#include "topk/status.h"

struct ggml_tensor;

namespace qwen_infer {

// Computes a FLASH_ATTN_EXT op that WhyUnsupported accepts and whose tensors are allocated in host memory. Errors are
// the kernel's or the recorder's, with the layer put in front of the message.
topk::Status ComputeAttention(const ggml_tensor& op, const Settings& settings, const topk::Executor& executor,
                              State& state);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_COMPUTE_H_
