// ggml's FLASH_ATTN_EXT as a call of the kernel library.
#ifndef QWEN_INFER_SRC_GGML_OP_H_
#define QWEN_INFER_SRC_GGML_OP_H_

#include "topk/attention.h"

struct ggml_tensor;

namespace qwen_infer {

// Why this plugin does not compute `op`, as a sentence with static lifetime; null if it does. Looks at types, shapes
// and strides only, so tensors need not be allocated. Safe from any thread.
const char* WhyUnsupported(const ggml_tensor& op);

// The op's operands and parameters. The views point into the tensors, which must be allocated in host memory; the op
// must be one that WhyUnsupported accepts.
topk::AttentionInput InputOf(const ggml_tensor& op);
topk::OutputView OutputOf(const ggml_tensor& op);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_OP_H_
