// The methods of one case, ready to run on the same tensors.
#ifndef QWEN_INFER_BENCH_ATTENTION_CONTEST_H_
#define QWEN_INFER_BENCH_ATTENTION_CONTEST_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "attention/case.h"
#include "attention/options.h"
#include "attention/problem.h"
#include "attention/stock.h"
#include "topk/attention.h"

namespace qwen_infer::attention_bench {

struct Contestant {
  Method method;
  std::function<void(size_t copy)> run;
  float* output;              // [n_query, n_head, d] of the last run
  topk::TopKOptions options;  // of our methods
};

// A method of ours and what it is told to do.
struct OurMethod {
  Method method;
  topk::TopKOptions options;
};

// Those of the table.
std::vector<OurMethod> OurMethods(const Case& the_case, int64_t k);

// What runs against what: llama.cpp's ways, then ours in that order.
class Contest {
 public:
  // Of `options`, the threads and the bytes of K count. Throws Interrupted (shared/interrupted.h) soon after `stop` is
  // set.
  Contest(const CpuBackend& cpu, const Case& the_case, const Options& options, const std::vector<OurMethod>& ours,
          const std::atomic<bool>& stop);

  const Problem& problem() const { return problem_; }
  // What our kernels get: the operands of stock's flash attention, as the plugin would hand them over.
  const topk::AttentionInput& input(size_t copy) const { return inputs_[copy]; }
  const std::vector<Contestant>& contestants() const { return contestants_; }

 private:
  void AddStock(const CpuBackend& cpu, Method method);
  void AddOurs(const OurMethod& method, topk::Executor executor);

  Problem problem_;
  std::vector<std::unique_ptr<StockAttention>> stock_;
  std::vector<topk::AttentionInput> inputs_;
  std::vector<float> output_;                // of our methods, in turn
  std::deque<topk::ScratchMemory> scratch_;  // of each of ours
  std::vector<Contestant> contestants_;
};

// What else to find out of a call; null: not wanted.
struct Wanted {
  topk::Selection* selection = nullptr;
  topk::Statistics* statistics = nullptr;
};

// Attention, or an exception with its message.
void RunAttention(const topk::AttentionInput& input, const topk::TopKOptions& options, float* output,
                  const Wanted& wanted, const topk::Executor& executor);

// Where a tensor [n_query, n_head, d] without gaps has its rows.
topk::OutputView TightOutput(const topk::AttentionInput& input, float* numbers);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_CONTEST_H_
