// The int8 scan and the scores of its survivors on each SIMD target.
#include "topk/scan/scan_int8.h"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/scan/score_keys.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

void ScanInt8Bench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  constexpr int64_t kBlocks = 16;
  testing::AlignedArray<int8_t> numbers(kInt8Stride * GroupsOf(d) * kGroup);
  testing::AlignedArray<uint8_t> panels(kBlocks * QuantizedPanelBytes(d));
  const std::vector<int32_t> sums(kInt8Stride);
  testing::AlignedArray<int32_t> thresholds(kBlocks * kInt8Stride);
  testing::AlignedArray<uint64_t> survivors(kBlocks * kInt8Stride);
  for (auto _ : state) {
    ScanInt8({numbers.data(), sums.data(), kInt8Stride}, panels.data(), kBlocks, d, thresholds.data(),
             survivors.data());
    benchmark::ClobberMemory();
  }
  state.counters["multiply_adds"] = benchmark::Counter(static_cast<double>(kInt8Stride * kBlocks * kBlockKeys * d),
                                                       benchmark::Counter::kIsIterationInvariantRate);
}

// Keys at random places of a cache of 8,192.
void ScoreKeysBench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  constexpr int64_t kKeys = 8192;
  std::mt19937 random(1);
  testing::RandomTensor keys(DataType::kF16, 1, kKeys, 1, d, 0);
  keys.FillGaussian(random);
  testing::AlignedArray<float> q(PadToLanes(d));
  std::vector<KeyIndex> list;
  for (KeyIndex j = 0; j < kKeys; ++j) {
    if (random() % 20 == 0) list.push_back(j);
  }
  std::vector<float> scores(list.size() + 3);
  for (auto _ : state) {
    ScoreKeys(q.data(), keys.view(), d, list, scores.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(list.size()));
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t d : {64, 128}) {
    const std::string of = std::string(target) + "/d:" + std::to_string(d);
    benchmark::RegisterBenchmark(("ScanInt8/" + of).c_str(), ScanInt8Bench, target, d);
    benchmark::RegisterBenchmark(("ScoreKeys/" + of).c_str(), ScoreKeysBench, target, d);
  }
});

}  // namespace
}  // namespace topk
