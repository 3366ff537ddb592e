#include "engine/weight_layout.h"

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <gguf.h>

#include <cstddef>
#include <vector>

namespace qwen_infer {

namespace {

constexpr size_t kNoticeable = 4;  // a mapping would take a quarter more

// What the CPU backend offers beside plain memory.
std::vector<ggml_backend_buffer_type_t> LayoutsOf(ggml_backend_dev_t cpu) {
  auto* const get = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts"));
  std::vector<ggml_backend_buffer_type_t> layouts;
  if (get == nullptr) return layouts;
  for (ggml_backend_buffer_type_t* layout = get(cpu); layout != nullptr && *layout != nullptr; ++layout) {
    layouts.push_back(*layout);
  }
  return layouts;
}

// Whether the backend would multiply with the matrix in that layout, which is how llama.cpp decides.
bool IsUsed(ggml_backend_dev_t cpu, ggml_backend_buffer_type_t layout, const ggml_tensor& weights) {
  constexpr int kTensors = 3;
  constexpr int kColumns = 512;  // as llama.cpp asks
  const ggml_context_ptr context(
      ggml_init({.mem_size = kTensors * ggml_tensor_overhead(), .mem_buffer = nullptr, .no_alloc = true}));
  ggml_tensor* const matrix = ggml_new_tensor(context.get(), weights.type, GGML_MAX_DIMS, weights.ne);
  ggml_tensor* const columns =
      ggml_new_tensor_4d(context.get(), GGML_TYPE_F32, weights.ne[0], kColumns, weights.ne[2], weights.ne[3]);
  const ggml_tensor* const product = ggml_mul_mat(context.get(), matrix, columns);
  const ggml_backend_buffer_ptr buffer(ggml_backend_buft_alloc_buffer(layout, 0));
  matrix->buffer = buffer.get();
  return ggml_backend_dev_supports_op(cpu, product);
}

}  // namespace

bool CpuCopiesWeights(const std::string& path) {
  ggml_backend_dev_t const cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  const std::vector<ggml_backend_buffer_type_t> layouts = LayoutsOf(cpu);
  if (layouts.empty()) return false;
  ggml_context* read = nullptr;
  const gguf_context_ptr file(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = &read}));
  const ggml_context_ptr tensors(read);
  if (file == nullptr || tensors == nullptr) return false;
  size_t all = 0;
  size_t copied = 0;
  for (ggml_tensor* one = ggml_get_first_tensor(read); one != nullptr; one = ggml_get_next_tensor(read, one)) {
    all += ggml_nbytes(one);
    if (ggml_n_dims(one) < 2) continue;
    for (ggml_backend_buffer_type_t const layout : layouts) {
      if (!IsUsed(cpu, layout, *one)) continue;
      copied += ggml_nbytes(one);
      break;
    }
  }
  return copied > all / kNoticeable;
}

}  // namespace qwen_infer
