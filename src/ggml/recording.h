// The inputs of one attention call as a GGUF file, to be computed on again: real queries and keys have outliers and
// clusters that random ones have not.
//
// Tensors, as ggml counts dimensions (numpy shows them in reverse order):
//   q            f32 [d_k, n_head, n_query, n_batch]
//   k            [d_k, n_head_kv, n_key, n_batch]
//   v            [d_v, n_head_kv, n_key, n_batch]
//   mask         f16 [n_key, n_query, n_head or a divisor, n_batch or a divisor]; left out where nothing is masked
//   sink_logits  f32 [n_head]; left out where there are none
// Metadata: general.architecture = "topk-attention-inputs"; topk.layer (i32, -1: unknown); topk.scale, topk.softcap and
// topk.alibi_max_bias (f32).
#ifndef QWEN_INFER_SRC_GGML_RECORDING_H_
#define QWEN_INFER_SRC_GGML_RECORDING_H_

#include <cstdint>
#include <memory>
#include <string>

#include "topk/attention.h"
#include "topk/status.h"

namespace qwen_infer {

// Saves an input that the kernels accept; `causal` must be off and a mask f16, as ggml's operation has them. The file
// is whole or not there. Needs memory for a copy of it.
topk::Status WriteRecording(const topk::AttentionInput& input, int layer, const std::string& path);

struct Recording {
  int layer = -1;
  topk::AttentionInput input;         // views of `memory`
  std::unique_ptr<uint8_t[]> memory;  // NOLINT(*-avoid-c-arrays): bytes that nobody has to clear first
};

// kInvalidArgument, naming path and reason, for anything but a whole file of the form above whose q, k and v are
// finite.
topk::Status ReadRecording(const std::string& path, Recording& out);

// The number of keys up to the last that any query sees. A mask must be f16.
int64_t KeysInUse(const topk::AttentionInput& input);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_RECORDING_H_
