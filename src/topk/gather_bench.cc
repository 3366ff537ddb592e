// Sparse masks: time against the number of visible keys at a fixed number of keys, one query (caches cold) and many.
// promised: the call says so beforehand. all: a mask that hides nothing, for comparison.
#include <benchmark/benchmark.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/random_input.h"
#include "topk/testing/time_attention.h"

namespace topk {
namespace {

using testing::Shape;

constexpr int64_t kKeys = 65536;

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

void GatherBench(benchmark::State& state, Shape shape, const TopKOptions& options, int64_t n_visible,
                 bool is_promised) {
  shape.n_key = kKeys;
  shape.k_type = shape.v_type = DataType::kF16;
  const std::vector<uint16_t> mask = SparseMask(shape.n_query, n_visible);
  testing::TimeAttention(state, shape, options, [&](testing::RandomProblem& problem) {
    problem.input.mask = {.data = mask.data(), .type = DataType::kF16, .query_stride = 2 * kKeys};
    if (is_promised) problem.input.most_visible = n_visible;
  });
}

bool Register() {
  struct Heads {
    int64_t n_head, n_head_kv, d_k, d_v;
  };
  for (const Heads& heads : {Heads{14, 2, 64, 64}, Heads{32, 8, 128, 128}, Heads{16, 1, 576, 512}}) {
    for (int64_t n_query : {1, 4, 16, 64}) {
      for (bool dense : {true, false}) {
        for (int64_t n_visible : {512, 1024, 2048, 4096, 8192, 16384, 65536}) {
          const Shape shape{.n_query = n_query,
                            .n_head = heads.n_head,
                            .n_head_kv = heads.n_head_kv,
                            .d_k = heads.d_k,
                            .d_v = heads.d_v};
          TopKOptions options;
          if (dense) options.k = kKeys;
          const std::string name = "Queries:" + std::to_string(n_query) + (dense ? "/dense" : "/k:256") +
                                   "/heads:" + std::to_string(heads.n_head) + ":" + std::to_string(heads.n_head_kv) +
                                   "/d:" + std::to_string(heads.d_k) + "/n:65536/visible:" +
                                   (n_visible == kKeys ? std::string("all") : std::to_string(n_visible));
          for (bool is_promised : {false, true}) {
            if (is_promised && n_visible == kKeys) continue;
            const std::string full_name = name + (is_promised ? "/promised" : "");
            benchmark::RegisterBenchmark(full_name.c_str(), GatherBench, shape, options, n_visible, is_promised)
                ->Unit(benchmark::kMicrosecond)
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
