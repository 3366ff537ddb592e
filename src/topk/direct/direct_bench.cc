// Keys per second of both products of few rows, and of the panels that more rows share.
#include <benchmark/benchmark.h>

#include <random>

#include "topk/direct/direct.h"
#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

constexpr const char* kTypeNames[] = {"f32", "f16", "bf16", "q8_0"};
constexpr int64_t kSize = 128;

enum class Way { kDirect, kPanels };

void ProductsBench(benchmark::State& state, const char* target, Way way, DataType type, int64_t n_rows) {
  UseSimdTarget(target);
  std::mt19937 random(1);
  testing::RandomTensor rows(type, 1, kBlockKeys, 1, kSize, 0);
  rows.FillGaussian(random);
  testing::AlignedArray<float> queries(n_rows * kSize), panel(kSize * kBlockKeys), scores(n_rows * kBlockKeys),
      sums(n_rows * kSize);
  testing::AlignedArray<int32_t> magnitude(kSize);
  const TensorView& view = rows.view();
  for (auto _ : state) {
    if (way == Way::kDirect) {
      ScoreDirectly(queries.data(), n_rows, view, 0, kBlockKeys, kSize, scores.data(), kBlockKeys, magnitude.data());
      AddDirectly(scores.data(), n_rows, view, 0, kBlockKeys, kSize, sums.data());
    } else {
      PackKeys(view, 0, kBlockKeys, kSize, panel.data(), magnitude.data());
      MultiplyTile(queries.data(), kSize, panel.data(), kBlockKeys, scores.data(), kBlockKeys, n_rows, kBlockKeys,
                   kSize, false);
      PackValues(view, 0, kBlockKeys, kSize, panel.data());
      MultiplyTile(scores.data(), kBlockKeys, panel.data(), kSize, sums.data(), kSize, n_rows, kSize, kBlockKeys, true);
    }
    benchmark::ClobberMemory();
  }
  state.counters["keys"] =
      benchmark::Counter(static_cast<double>(kBlockKeys), benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
    for (int64_t n_rows : {1, 2, 3, 4, 5, 6, 7, 8}) {
      for (Way way : {Way::kDirect, Way::kPanels}) {
        const std::string name = std::string(way == Way::kDirect ? "Direct/" : "Panels/") + target + "/" +
                                 kTypeNames[static_cast<int>(type)] + "/rows:" + std::to_string(n_rows) + "/d:128";
        benchmark::RegisterBenchmark(name.c_str(), ProductsBench, target, way, type, n_rows);
      }
    }
  }
});

}  // namespace
}  // namespace topk
