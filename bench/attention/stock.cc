#include "attention/stock.h"

#include <stdexcept>

namespace qwen_infer::attention_bench {

namespace {

constexpr size_t kMaxNodes = 16;  // the longer graph has nine, and as many leaves at most

ggml_tensor* HeadsOutside(ggml_context* context, ggml_tensor* tensor) {
  return ggml_permute(context, tensor, 0, 2, 1, 3);
}

// llama.cpp would convert f32 keys and values to f16 first; leaving that out flatters it.
ggml_tensor* BuildFlash(ggml_context* context, const Problem& problem, const Cache& cache) {
  ggml_tensor* result =
      ggml_flash_attn_ext(context, HeadsOutside(context, problem.q), HeadsOutside(context, cache.k),
                          HeadsOutside(context, cache.v), problem.mask_f16, problem.the_case.Scale(), 0, 0);
  ggml_prec_set_acc(result, GGML_PREC_F32);
  ggml_flash_attn_ext_set_n_kv_max(result, static_cast<int32_t>(problem.the_case.n_visible));  // as our kernels see it
  return result;
}

ggml_tensor* BuildProducts(ggml_context* context, const Problem& problem, const Cache& cache) {
  ggml_tensor* scores = ggml_mul_mat(context, HeadsOutside(context, cache.k), HeadsOutside(context, problem.q));
  ggml_prec_set_acc(scores, GGML_PREC_F32);
  ggml_tensor* weights = ggml_soft_max_ext(context, scores, problem.mask_f32, problem.the_case.Scale(), 0);
  ggml_tensor* heads = HeadsOutside(context, ggml_mul_mat(context, cache.v_transposed, weights));
  return ggml_cont_2d(context, heads, heads->ne[0] * heads->ne[1], heads->ne[2]);
}

}  // namespace

CpuBackend::CpuBackend(int n_threads) {
  ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);  // which file was loaded from where
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) ggml_backend_load_all();
  ggml_log_set(nullptr, nullptr);
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (device == nullptr) throw std::runtime_error("ggml's CPU backend (libggml-cpu*.so) is not beside this program");
  backend.reset(ggml_backend_dev_init(device, nullptr));
  processor = ggml_backend_dev_description(device);
  void* set_n_threads =
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_set_n_threads");
  if (backend == nullptr || set_n_threads == nullptr) throw std::runtime_error("ggml's CPU backend does not start");
  reinterpret_cast<ggml_backend_set_n_threads_t>(set_n_threads)(backend.get(), n_threads);
}

StockAttention::StockAttention(const CpuBackend& cpu, const Problem& problem, Method way)
    : backend_(cpu.backend.get()), intermediates_(ggml_gallocr_new(ggml_backend_cpu_buffer_type())) {
  const size_t graph_bytes = kMaxNodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(kMaxNodes, false);
  context_.reset(ggml_init({graph_bytes * problem.caches.size(), nullptr, true}));
  for (const Cache& cache : problem.caches) {
    const auto build = way == Method::kStockFlash ? BuildFlash : BuildProducts;
    results_.push_back(build(context_.get(), problem, cache));
    graphs_.push_back(ggml_new_graph_custom(context_.get(), kMaxNodes, false));
    ggml_build_forward_expand(graphs_.back(), results_.back());
    if (!ggml_gallocr_alloc_graph(intermediates_.get(), graphs_.back())) throw std::bad_alloc();
  }
}

void StockAttention::Run(size_t copy) {
  if (ggml_backend_graph_compute(backend_, graphs_[copy]) != GGML_STATUS_SUCCESS) {
    throw std::runtime_error("ggml could not compute attention");
  }
}

}  // namespace qwen_infer::attention_bench
