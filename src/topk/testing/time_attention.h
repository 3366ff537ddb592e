// The loop of the benchmarks of whole calls.
#ifndef TOPK_SRC_TESTING_TIME_ATTENTION_H_
#define TOPK_SRC_TESTING_TIME_ATTENTION_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/random_input.h"

namespace topk::testing {

// Times Attention on random inputs of a shape, each changed by `prepare`, with all threads; counts microseconds a row.
// Decode reads K from memory: it rotates over copies that exceed the last-level cache together.
template <typename Prepare>
void TimeAttention(benchmark::State& state, const Shape& shape, const TopKOptions& options, Prepare&& prepare) {
  constexpr int64_t kColdBytes = int64_t{128} << 20;
  const int64_t kv_bytes = 2 * RowBytes(shape.k_type, shape.d_k) * shape.n_key * shape.n_head_kv;
  const int64_t copies = shape.n_query > 1 ? 1 : std::max<int64_t>(1, kColdBytes / kv_bytes);
  std::vector<std::unique_ptr<RandomProblem>> problems;
  for (int64_t c = 0; c < copies; ++c) {
    problems.push_back(std::make_unique<RandomProblem>(shape, 1));
    prepare(*problems.back());
  }
  OutputTensor out(problems[0]->input);
  ScratchMemory scratch;  // kept from call to call, as the Python packages do
  Executor executor = OpenMpExecutor(0);
  executor.scratch = &scratch;
  size_t next = 0;
  for (auto _ : state) {
    const AttentionInput& input = problems[next++ % problems.size()]->input;
    const Status status = Attention(input, options, {out.view()}, executor);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
  }
  state.counters["us_per_row"] =
      benchmark::Counter(static_cast<double>(shape.n_query * shape.n_head) * 1e-6,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_TIME_ATTENTION_H_
