// Small ggml tensors for tests of the plugin.
#ifndef QWEN_INFER_SRC_GGML_TENSORS_FOR_TEST_H_
#define QWEN_INFER_SRC_GGML_TENSORS_FOR_TEST_H_

#include <ggml-cpp.h>
#include <ggml.h>

#include <cstdint>

namespace qwen_infer {

// A ggml context; `allocate`: with memory for the tensors' data, else for their descriptions alone.
inline ggml_context_ptr NewContext(bool allocate) {
  constexpr size_t kBytes = 16 << 20;
  return ggml_context_ptr(ggml_init({kBytes, nullptr, !allocate}));
}

struct OpShape {
  int64_t d_k = 64;
  int64_t d_v = 64;
  int64_t n_query = 3;
  int64_t n_key = 16;
  int64_t n_head = 4;
  int64_t n_head_kv = 2;
  int64_t n_batch = 1;
  ggml_type type_k = GGML_TYPE_F16;
  ggml_type type_v = GGML_TYPE_F16;
};

// An attention op as llama.cpp builds it: K and V are permuted views of a cache named "cache_k_l3" and "cache_v_l3",
// longer than the keys in use. Without mask.
inline ggml_tensor* NewAttention(ggml_context* context, const OpShape& shape) {
  const auto cache_view = [&](const char* name, ggml_type type, int64_t d) {
    const int64_t n_cells = 2 * shape.n_key;
    ggml_tensor* cache = ggml_new_tensor_3d(context, type, d * shape.n_head_kv, n_cells, shape.n_batch);
    ggml_set_name(cache, name);
    ggml_tensor* view = ggml_view_4d(context, cache, d, shape.n_head_kv, shape.n_key, shape.n_batch,
                                     ggml_row_size(type, d), cache->nb[1], cache->nb[2], 0);
    return ggml_permute(context, view, 0, 2, 1, 3);
  };
  ggml_tensor* q = ggml_permute(
      context, ggml_new_tensor_4d(context, GGML_TYPE_F32, shape.d_k, shape.n_head, shape.n_query, shape.n_batch), 0, 2,
      1, 3);
  ggml_tensor* k = cache_view("cache_k_l3", shape.type_k, shape.d_k);
  ggml_tensor* v = cache_view("cache_v_l3", shape.type_v, shape.d_v);
  return ggml_flash_attn_ext(context, q, k, v, nullptr, 1.0F, 0.0F, 0.0F);
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_TENSORS_FOR_TEST_H_
