// Multiply-adds per second of the scan's product on each SIMD target, for the tiles of prefill and decode.
#include <benchmark/benchmark.h>

#include <string>

#include "topk/attention.h"
#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/scan/scan_split.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"

namespace topk {
namespace {

void MultiplyTileBench(benchmark::State& state, const char* target, int64_t n_rows, int64_t d) {
  UseSimdTarget(target);
  testing::AlignedArray<float> queries(n_rows * d), panel(d * kBlockKeys), scores(n_rows * kBlockKeys);
  for (auto _ : state) {
    MultiplyTile(queries.data(), d, panel.data(), kBlockKeys, scores.data(), kBlockKeys, n_rows, kBlockKeys, d, false);
    benchmark::ClobberMemory();
  }
  state.counters["multiply_adds"] =
      benchmark::Counter(static_cast<double>(n_rows * d * kBlockKeys), benchmark::Counter::kIsIterationInvariantRate);
}

// The same from parts in bf16.
void MultiplySplitBench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  if (!CanScanSplit()) return state.SkipWithError("no AMX for bf16");
  constexpr int64_t kRows = 96;
  testing::AlignedArray<uint16_t> queries(SplitRowsSize(kRows, d)), panel(SplitPanelSize(d));
  testing::AlignedArray<float> scores(kRows * kBlockKeys);
  for (auto _ : state) {
    MultiplySplit(queries.data(), kRows, panel.data(), d, 0, kRows, scores.data(), kBlockKeys);
    benchmark::ClobberMemory();
  }
  state.counters["multiply_adds"] =
      benchmark::Counter(static_cast<double>(kRows * d * kBlockKeys), benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t n_rows : {1, 7, 96}) {
    for (int64_t d : {64, 128}) {
      const std::string name =
          std::string("MultiplyTile/") + target + "/rows:" + std::to_string(n_rows) + "/d:" + std::to_string(d);
      benchmark::RegisterBenchmark(name.c_str(), MultiplyTileBench, target, n_rows, d);
    }
  }
  if (std::string(target) == SimdTargets().front()) {
    for (int64_t d : {64, 128}) {
      const std::string name = std::string("MultiplySplit/") + target + "/rows:96/d:" + std::to_string(d);
      benchmark::RegisterBenchmark(name.c_str(), MultiplySplitBench, target, d);
    }
  }
});

}  // namespace
}  // namespace topk
