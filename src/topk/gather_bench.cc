// Sparse masks: time against the number of visible keys at a fixed number of keys, one query (caches cold) and many.
// all: a mask that hides nothing, for comparison.
#include <benchmark/benchmark.h>

#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

constexpr int64_t kKeys = 65536;
// Decode reads K and V from memory: rotate over copies that exceed the last-level cache together.
constexpr int64_t kColdBytes = int64_t{128} << 20;

// n_query rows of the f16 mask with n_visible keys each, spread evenly at random.
std::vector<uint16_t> SparseMask(int64_t n_query, int64_t n_visible) {
  std::mt19937 random(1);
  std::vector<uint16_t> mask(static_cast<size_t>(n_query * kKeys),
                             testing::F32ToF16(-std::numeric_limits<float>::infinity()));
  const int64_t step = kKeys / n_visible;
  for (int64_t query = 0; query < n_query; ++query) {
    for (int64_t j = 0; j < n_visible; ++j) {
      mask[static_cast<size_t>(query * kKeys + j * step + static_cast<int64_t>(random() % step))] = 0;
    }
  }
  return mask;
}

void GatherBench(benchmark::State& state, Shape shape, const TopKOptions& options, int64_t n_visible) {
  shape.n_key = kKeys;
  shape.k_type = shape.v_type = DataType::kF16;
  const int64_t kv_bytes = 2 * RowBytes(shape.k_type, shape.d_k) * shape.n_key * shape.n_head_kv;
  const int64_t copies = shape.n_query > 1 ? 1 : std::max<int64_t>(1, kColdBytes / kv_bytes);
  const std::vector<uint16_t> mask = SparseMask(shape.n_query, n_visible);
  std::vector<std::unique_ptr<RandomProblem>> problems;
  for (int64_t c = 0; c < copies; ++c) {
    problems.push_back(std::make_unique<RandomProblem>(shape, 1));
    problems.back()->input.mask = {.data = mask.data(), .type = DataType::kF16, .query_stride = 2 * kKeys};
  }
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
    int64_t n_head, n_head_kv, d_k, d_v;
  };
  for (const Heads& heads : {Heads{14, 2, 64, 64}, Heads{32, 8, 128, 128}, Heads{16, 1, 576, 512}}) {
    for (int64_t n_query : {1, 64}) {
      for (bool dense : {true, false}) {
        for (int64_t n_visible : {512, 1024, 2048, 4096, 8192, 16384, 65536}) {
          const Shape shape{.n_query = n_query,
                            .n_head = heads.n_head,
                            .n_head_kv = heads.n_head_kv,
                            .d_k = heads.d_k,
                            .d_v = heads.d_v};
          TopKOptions options;
          if (dense) options.k = kKeys;
          const std::string name = std::string(n_query > 1 ? "Prefill" : "Decode") + (dense ? "/dense" : "/k:256") +
                                   "/heads:" + std::to_string(heads.n_head) + ":" + std::to_string(heads.n_head_kv) +
                                   "/d:" + std::to_string(heads.d_k) + "/n:65536/visible:" +
                                   (n_visible == kKeys ? std::string("all") : std::to_string(n_visible));
          benchmark::RegisterBenchmark(name.c_str(), GatherBench, shape, options, n_visible)
              ->Unit(benchmark::kMicrosecond)
              ->UseRealTime();
        }
      }
    }
  }
  return true;
}

const bool kRegistered = Register();

}  // namespace
}  // namespace topk
