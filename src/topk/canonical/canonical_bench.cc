// Keys per second that are scored canonically.
#include <benchmark/benchmark.h>

#include <numeric>
#include <random>
#include <vector>

#include "topk/canonical/canonical.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

void CanonicalDotsBench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  constexpr int64_t kKeys = 256;
  std::mt19937 random(1);
  testing::RandomTensor keys(DataType::kF16, 1, kKeys, 1, d, 0);
  keys.FillGaussian(random);
  const std::vector<float> q(d, 0.5F);
  std::vector<KeyIndex> list(kKeys);
  std::iota(list.begin(), list.end(), 0);
  std::vector<double> dots(kKeys);
  for (auto _ : state) {
    CanonicalDots(q.data(), keys.view(), d, list, dots.data());
    benchmark::ClobberMemory();
  }
  state.counters["keys"] =
      benchmark::Counter(static_cast<double>(kKeys), benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t d : {64, 128}) {
    const std::string name = std::string("CanonicalDots/") + target + "/f16/d:" + std::to_string(d);
    benchmark::RegisterBenchmark(name.c_str(), CanonicalDotsBench, target, d);
  }
});

}  // namespace
}  // namespace topk
