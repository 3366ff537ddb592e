// The tensors of a case, laid out as llama.cpp keeps them in its KV cache.
#ifndef QWEN_INFER_BENCH_ATTENTION_PROBLEM_H_
#define QWEN_INFER_BENCH_ATTENTION_PROBLEM_H_

#include <ggml-cpp.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "attention/case.h"

namespace qwen_infer::attention_bench {

// K and V of one layer; tokens one after the other, heads interleaved.
struct Cache {
  ggml_tensor* k = nullptr;  // [d, n_head_kv, n_key]
  ggml_tensor* v = nullptr;  // [d, n_head_kv, n_key]
  ggml_tensor* v_transposed =
      nullptr;  // [n_key, d, n_head_kv]: what is kept without flash attention; null if quantised
};

// The numbers of the case's inputs, or Gaussian ones, the same for the same case. For q8_0 that is also what a cache of
// llama.cpp holds, which rotates keys with a Hadamard matrix before it quantises them.
class Problem {
 public:
  // Enough copies of K and V that all K together fill cold_bytes; one in prefill, which computes long enough on its K
  // for that to be warm in practice, too. Throws Interrupted (shared/interrupted.h) soon after `stop` is set.
  Problem(Case shape, int64_t cold_bytes, const std::atomic<bool>& stop);

  const Case the_case;
  ggml_tensor* q = nullptr;         // f32 [d, n_head, n_query]
  ggml_tensor* mask_f16 = nullptr;  // [n_key, n_query]: 0 or -inf
  ggml_tensor* mask_f32 = nullptr;  // the same; null where there is no v_transposed
  std::vector<Cache> caches;        // equal numbers in each

 private:
  // The query, and the first of the caches.
  void FillTensors(const std::atomic<bool>& stop);
  void FillMasks();

  ggml_context_ptr context_;
  ggml_backend_buffer_ptr buffer_;
};

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_PROBLEM_H_
