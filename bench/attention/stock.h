// llama.cpp's attention on ggml's CPU backend, operation for operation as llm_graph_context::build_attn_mha builds it.
#ifndef QWEN_INFER_BENCH_ATTENTION_STOCK_H_
#define QWEN_INFER_BENCH_ATTENTION_STOCK_H_

#include <ggml-cpp.h>

#include <cstddef>
#include <string>
#include <vector>

#include "attention/problem.h"

namespace qwen_infer::attention_bench {

// ggml's CPU backend, from the module beside the program. Throws std::runtime_error if there is none.
struct CpuBackend {
  explicit CpuBackend(int n_threads);

  ggml_backend_ptr backend;
  std::string processor;  // its name
};

// One graph for each copy of the cache; all share the memory of intermediate results, as layers do.
class StockAttention {
 public:
  // `problem` and `cpu` must outlive it. kStockProducts needs a v_transposed.
  StockAttention(const CpuBackend& cpu, const Problem& problem, Method way);

  void Run(size_t copy);
  // [n_query, n_head, d] of the last run.
  float* output() const { return static_cast<float*>(results_.front()->data); }
  // The node that has the result.
  const ggml_tensor& result(size_t copy) const { return *results_[copy]; }

 private:
  ggml_backend_t backend_;
  ggml_context_ptr context_;
  ggml_gallocr_ptr intermediates_;
  std::vector<ggml_cgraph*> graphs_;
  std::vector<ggml_tensor*> results_;
};

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_STOCK_H_
