// The ggml backend "TOPK": one device of type ACCEL that computes FLASH_ATTN_EXT in the CPU's memory, so that ggml's
// scheduler gives it every attention op of an unmodified model (with flash attention on) and leaves the rest to the
// CPU.
#ifndef QWEN_INFER_SRC_GGML_BACKEND_H_
#define QWEN_INFER_SRC_GGML_BACKEND_H_

#include <ggml-backend.h>

namespace qwen_infer {

// Name of the backend and of its only device.
inline constexpr const char* kBackendName = "TOPK";

// The backend's registration; static lifetime. Does not check ggml's version: see VersionMismatch.
ggml_backend_reg_t TopKRegistration();

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_BACKEND_H_
