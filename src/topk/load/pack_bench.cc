// Keys per second that are packed, for each type and SIMD target.
#include <benchmark/benchmark.h>

#include <random>

#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

constexpr const char* kTypeNames[] = {"f32", "f16", "bf16", "q8_0"};

void PackKeysBench(benchmark::State& state, const char* target, DataType type, int64_t d) {
  UseSimdTarget(target);
  std::mt19937 random(1);
  testing::RandomTensor keys(type, 1, kBlockKeys, 1, d, 0);
  keys.FillGaussian(random);
  testing::AlignedArray<float> panel(d * kBlockKeys);
  testing::AlignedArray<int32_t> magnitude(PadToLanes(d));
  for (auto _ : state) {
    benchmark::DoNotOptimize(PackKeys(keys.view(), 0, kBlockKeys, d, panel.data(), magnitude.data()));
    benchmark::ClobberMemory();
  }
  state.counters["keys"] =
      benchmark::Counter(static_cast<double>(kBlockKeys), benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
    const std::string name = std::string("PackKeys/") + target + "/" + kTypeNames[static_cast<int>(type)] + "/d:64";
    benchmark::RegisterBenchmark(name.c_str(), PackKeysBench, target, type, 64);
  }
});

}  // namespace
}  // namespace topk
