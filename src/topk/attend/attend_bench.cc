// Time of softmax and of the weighted sum of the V rows of one selection, rows spread over a long context.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "topk/attend/attend.h"
#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

constexpr int64_t kSelected = 256;

void SoftmaxBench(benchmark::State& state, const char* target) {
  UseSimdTarget(target);
  testing::AlignedArray<float> scores(kSelected + kMaxLanes);
  for (auto _ : state) benchmark::DoNotOptimize(Softmax(scores.data(), kSelected, -__builtin_inff()));
}

void WeightedSumBench(benchmark::State& state, const char* target, DataType type) {
  UseSimdTarget(target);
  constexpr int64_t kKeys = 8192;
  std::mt19937 random(1);
  testing::RandomTensor values(type, 1, kKeys, 1, 64, 0);
  values.FillGaussian(random);
  std::vector<KeyIndex> keys;
  for (int64_t j = 0; j < kSelected; ++j) keys.push_back(static_cast<KeyIndex>(j * kKeys / kSelected + random() % 32));
  const std::vector<float> weights(kSelected, 1.0F / kSelected);
  std::vector<float> out(64);
  for (auto _ : state) {
    WeightedSum(keys, weights.data(), values.view(), 64, out.data());
    benchmark::ClobberMemory();
  }
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  benchmark::RegisterBenchmark((std::string("Softmax/") + target + "/256").c_str(), SoftmaxBench, target);
  for (DataType type : {DataType::kF16, DataType::kQ8_0}) {
    const std::string name = std::string("WeightedSum/") + target + (type == DataType::kF16 ? "/f16" : "/q8_0");
    benchmark::RegisterBenchmark((name + "/256 of 8192/d:64").c_str(), WeightedSumBench, target, type);
  }
});

}  // namespace
}  // namespace topk
