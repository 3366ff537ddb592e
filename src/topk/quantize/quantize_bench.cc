// Quantising a block of keys on each SIMD target: the transforms, then the rounding; and rows straight from the cache.
#include "topk/quantize/quantize.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/quantize/quantize_rows.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

void QuantizeKeysBench(benchmark::State& state, const char* target, NumberWidth width, int64_t d) {
  UseSimdTarget(target);
  testing::AlignedArray<float> panel(d * kBlockKeys);
  testing::AlignedArray<uint8_t> bytes(QuantizedPanelBytes(d, width));
  for (int64_t i = 0; i < panel.size(); ++i) panel[i] = static_cast<float>(i % 17) - 8.0F;
  const std::vector<float> zero(d, 0.0F);
  // The panel is transformed in place again and again: the gain keeps its numbers from growing.
  const std::vector<float> factor(d, 1.0F / static_cast<float>(HadamardSize(d)));
  for (auto _ : state) {
    TransformPanel(panel.data(), d, zero.data(), factor.data(), 1.0F);
    benchmark::DoNotOptimize(QuantizeKeys(width, panel.data(), d, bytes.data()));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kBlockKeys);
}

// Blocks of one KV head of two, from the CPU's caches.
void QuantizeRowsBench(benchmark::State& state, const char* target, DataType type, int64_t d) {
  UseSimdTarget(target);
  constexpr int64_t kKeys = 8 * kBlockKeys;
  std::mt19937 random(1);
  testing::RandomTensor keys(type, 1, kKeys, 2, d, 0);
  keys.FillGaussian(random);
  testing::AlignedArray<float> factor(PadToRowChunks(d)), centre(PadToRowChunks(d));
  std::fill_n(factor.data(), d, 20.0F);
  testing::AlignedArray<uint8_t> panel(QuantizedPanelBytes(PadToRowChunks(d)));
  int64_t first = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        QuantizeRows({keys.view(), first, kBlockKeys}, d, factor.data(), centre.data(), panel.data()));
    first = (first + kBlockKeys) % kKeys;
  }
  state.SetItemsProcessed(state.iterations() * kBlockKeys);
  state.SetBytesProcessed(state.iterations() * kBlockKeys * RowBytes(type, d));
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t d : {64, 128}) {
    for (NumberWidth width : {NumberWidth::kInt8, NumberWidth::kInt16}) {
      const std::string name = std::string("QuantizeKeys/") + target + "/d:" + std::to_string(d) +
                               (width == NumberWidth::kInt8 ? "/int8" : "/int16");
      benchmark::RegisterBenchmark(name.c_str(), QuantizeKeysBench, target, width, d);
    }
    for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
      const std::string rows = std::string("QuantizeRows/") + target + "/d:" + std::to_string(d) + "/type:";
      benchmark::RegisterBenchmark((rows + std::to_string(static_cast<int>(type))).c_str(), QuantizeRowsBench, target,
                                   type, d);
    }
  }
});

}  // namespace
}  // namespace topk
