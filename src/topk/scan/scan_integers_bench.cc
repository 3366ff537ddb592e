// The integer scan and the scores of its survivors on each SIMD target.
#include "topk/scan/scan_integers.h"

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

void ScanIntegersBench(benchmark::State& state, const char* target, NumberWidth width, int64_t d) {
  UseSimdTarget(target);
  constexpr int64_t kBlocks = 16;
  testing::AlignedArray<uint8_t> numbers(kIntegerStride * QuantizedBytes(d, width));
  testing::AlignedArray<uint8_t> panels(kBlocks * QuantizedPanelBytes(d, width));
  const std::vector<int32_t> sums(kIntegerStride);
  testing::AlignedArray<int32_t> thresholds(kBlocks * kIntegerStride);
  testing::AlignedArray<uint64_t> survivors(kIntegerStride * kSurvivorStride);
  for (auto _ : state) {
    ScanIntegers({numbers.data(), sums.data(), kIntegerStride, width}, panels.data(), kBlocks, d, thresholds.data(),
                 survivors.data());
    benchmark::ClobberMemory();
  }
  state.counters["multiply_adds"] = benchmark::Counter(static_cast<double>(kIntegerStride * kBlocks * kBlockKeys * d),
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
    benchmark::RegisterBenchmark(("ScanInt8/" + of).c_str(), ScanIntegersBench, target, NumberWidth::kInt8, d);
    benchmark::RegisterBenchmark(("ScanInt16/" + of).c_str(), ScanIntegersBench, target, NumberWidth::kInt16, d);
    benchmark::RegisterBenchmark(("ScoreKeys/" + of).c_str(), ScoreKeysBench, target, d);
  }
});

}  // namespace
}  // namespace topk
