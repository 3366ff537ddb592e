// The scan of q8_0 keys on each SIMD target: packing a block, and the scan of a block for the rows of a decode.
#include "topk/scan/scan_q8.h"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

constexpr int64_t kKeys = 2048;  // from cache
constexpr int64_t kRows = 7;

void PackQ8Bench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  std::mt19937 random(1);
  testing::RandomTensor keys(DataType::kQ8_0, 1, kKeys, 2, d, 0);
  keys.FillGaussian(random);
  testing::AlignedArray<uint8_t> numbers(Q8PanelNumbers(d));
  testing::AlignedArray<float> scales(Q8PanelScales(d));
  int64_t first = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(PackQ8({keys.view(), first, kBlockKeys, kBlockKeys}, d, {numbers.data(), scales.data()}));
    first = (first + kBlockKeys) % kKeys;
  }
  state.SetItemsProcessed(state.iterations() * kBlockKeys);
  state.SetBytesProcessed(state.iterations() * kBlockKeys * RowBytes(DataType::kQ8_0, d));
}

void ScanQ8Bench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  testing::AlignedArray<uint8_t> numbers(Q8PanelNumbers(d));
  testing::AlignedArray<float> scales(Q8PanelScales(d));
  const std::vector<int8_t> planes(kRows * d);
  const std::vector<int32_t> sums(kRows * d / kQ8BlockSize);
  const std::vector<float> thresholds(kRows, 1.0F);
  std::vector<uint64_t> survivors(kRows * kSurvivorStride);
  for (auto _ : state) {
    ScanQ8({planes.data(), planes.data(), sums.data(), sums.data(), kRows}, {numbers.data(), scales.data()}, d,
           thresholds.data(), survivors.data());
    benchmark::ClobberMemory();
  }
  state.counters["multiply_adds"] =
      benchmark::Counter(static_cast<double>(kRows * kBlockKeys * d), benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t d : {64, 128}) {
    const std::string of = std::string(target) + "/d:" + std::to_string(d);
    benchmark::RegisterBenchmark(("PackQ8/" + of).c_str(), PackQ8Bench, target, d);
    benchmark::RegisterBenchmark(("ScanQ8/" + of).c_str(), ScanQ8Bench, target, d);
  }
});

}  // namespace
}  // namespace topk
