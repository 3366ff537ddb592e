// One way to compute attention: a context of llama.cpp's, on a model that all ways share.
#ifndef QWEN_INFER_BENCH_END_TO_END_CONTESTANT_H_
#define QWEN_INFER_BENCH_END_TO_END_CONTESTANT_H_

#include <ggml-cpu.h>
#include <llama-cpp.h>

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "end_to_end/options.h"

namespace qwen_infer::end_to_end_bench {

// In the order of the columns, and of the runs within a round.
enum class Way {
  kStockFlash,     // llama.cpp with flash attention
  kStockProducts,  // llama.cpp without: products and softmax
  kTopK
};
inline constexpr std::array<Way, 3> kWays = {Way::kStockFlash, Way::kStockProducts, Way::kTopK};

constexpr size_t IndexOf(Way way) { return static_cast<size_t>(way); }
// "stock_flash": in the JSON.
std::string_view NameOf(Way way);

// The threads of ggml's CPU backend, for all contexts in turn: as llama.cpp's tools do it.
class ThreadPool {
 public:
  // Throws std::runtime_error if ggml's CPU backend is missing or has no such thing.
  explicit ThreadPool(int n_threads);

  ggml_threadpool* get() const { return pool_.get(); }

 private:
  std::unique_ptr<ggml_threadpool, void (*)(ggml_threadpool*)> pool_;
};

class Contestant {
 public:
  // llama.cpp gives a context the devices that are registered when it is made: kTopK needs ours, and the others must be
  // made before it is there. `model`, `pool` and `stop` must outlive it. Throws std::runtime_error if llama.cpp makes
  // no such context.
  Contestant(Way way, llama_model& model, const ThreadPool& pool, const Options& options,
             const std::atomic<bool>& stop);

  Way way() const { return way_; }
  llama_context& context() { return *context_; }

  // Read and generate on top of the contents of the cache; seconds. What is generated is not what the model says but
  // `tokens`, so that all ways do the same. Both throw Interrupted soon after `stop` is set, std::runtime_error if
  // llama.cpp fails.
  double Read(std::span<const llama_token> tokens);
  double Generate(std::span<const llama_token> tokens);

  // After the last token.
  std::span<const float> Logits();

 private:
  void Decode(std::span<const llama_token> tokens);

  Way way_;
  const std::atomic<bool>* stop_;
  int n_vocab_;
  llama_context_ptr context_;
};

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_CONTESTANT_H_
