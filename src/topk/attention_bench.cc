// Whole calls, dense and with k = 256: prefill of 512 causal queries at the end of a context, and decode of one with
// caches cold.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

// Decode reads K from memory: rotate over copies that exceed the last-level cache together.
constexpr int64_t kColdBytes = int64_t{128} << 20;

void AttentionBench(benchmark::State& state, const Shape& shape, const TopKOptions& options) {
  const int64_t kv_bytes = 2 * RowBytes(shape.k_type, shape.d_k) * shape.n_key * shape.n_head_kv;
  const int64_t copies = shape.n_query > 1 ? 1 : std::max<int64_t>(1, kColdBytes / kv_bytes);
  std::vector<std::unique_ptr<RandomProblem>> problems;
  for (int64_t c = 0; c < copies; ++c) problems.push_back(std::make_unique<RandomProblem>(shape, 1));
  OutputTensor out(problems[0]->input);
  size_t next = 0;
  for (auto _ : state) {
    const AttentionInput& input = problems[next++ % problems.size()]->input;
    const Status status = Attention(input, options, {out.view()}, OpenMpExecutor(0));
    if (!status.ok()) state.SkipWithError(status.message().c_str());
  }
  state.counters["us_per_row"] =
      benchmark::Counter(static_cast<double>(shape.n_query * shape.n_head) * 1e-6,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

bool Register() {
  struct Heads {
    int64_t n_head, n_head_kv, d;
  };
  struct Way {
    const char* name;
    TopKOptions options;
  };
  for (const Heads& heads : {Heads{14, 2, 64}, Heads{16, 8, 128}, Heads{32, 8, 128}}) {
    for (int64_t n_query : {512, 1}) {
      for (int64_t n_key : {1024, 4096, 8192, 32768}) {
        for (DataType type : {DataType::kF16, DataType::kQ8_0}) {
          const Shape shape{.n_query = n_query,
                            .n_key = n_key,
                            .n_head = heads.n_head,
                            .n_head_kv = heads.n_head_kv,
                            .d_k = heads.d,
                            .d_v = heads.d,
                            .k_type = type,
                            .v_type = type,
                            .mask = Shape::Mask::kCausal};
          const bool is_prefill = n_query > 1;
          for (const Way& way : {Way{"dense", {.k = n_key}}, Way{"f32", {.scan = ScanMode::kF32}},
                                 Way{"int8", {.scan = ScanMode::kInt8}}}) {
            const std::string name = std::string(is_prefill ? "Prefill" : "Decode") + "/" + way.name +
                                     "/heads:" + std::to_string(heads.n_head) + ":" + std::to_string(heads.n_head_kv) +
                                     "/d:" + std::to_string(heads.d) + (type == DataType::kF16 ? "/f16" : "/q8_0") +
                                     "/n:" + std::to_string(n_key);
            benchmark::RegisterBenchmark(name.c_str(), AttentionBench, shape, way.options)
                ->Unit(benchmark::kMillisecond)
                ->UseRealTime();
          }
        }
      }
    }
  }
  return true;
}

const bool kRegistered = Register();

}  // namespace
}  // namespace topk
