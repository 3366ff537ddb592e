// Time to find the k-th largest of a full candidate buffer, and to filter a block few of whose keys pass.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "topk/load/pack.h"
#include "topk/select/select.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"

namespace topk {
namespace {

testing::AlignedArray<float> Gaussian(int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> gaussian;
  testing::AlignedArray<float> scores(count + kMaxLanes);
  for (int64_t j = 0; j < count; ++j) scores[j] = gaussian(random);
  return scores;
}

void KthLargestBench(benchmark::State& state, const char* target, int64_t count) {
  UseSimdTarget(target);
  auto scores = Gaussian(count);
  for (auto _ : state) benchmark::DoNotOptimize(KthLargest(scores.data(), count, count / 2));
}

void FilterBench(benchmark::State& state, const char* target, float floor) {
  UseSimdTarget(target);
  auto scores = Gaussian(kBlockKeys);
  std::vector<float> kept(2 * kBlockKeys);
  std::vector<KeyIndex> keys(2 * kBlockKeys);
  for (auto _ : state) {
    benchmark::DoNotOptimize(Filter(scores.data(), floor, 0, kept.data(), keys.data()));
    benchmark::ClobberMemory();
  }
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t count : {512, 4096}) {
    const std::string name = std::string("KthLargest/") + target + "/count:" + std::to_string(count);
    benchmark::RegisterBenchmark(name.c_str(), KthLargestBench, target, count);
  }
  benchmark::RegisterBenchmark((std::string("Filter/") + target + "/few pass").c_str(), FilterBench, target, 2.0F);
  benchmark::RegisterBenchmark((std::string("Filter/") + target + "/all pass").c_str(), FilterBench, target, -9.0F);
});

}  // namespace
}  // namespace topk
