// Quantising a block of keys on each SIMD target: the transforms, then the rounding.
#include "topk/quantize/quantize.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"

namespace topk {
namespace {

void QuantizeKeysBench(benchmark::State& state, const char* target, int64_t d) {
  UseSimdTarget(target);
  testing::AlignedArray<float> panel(d * kBlockKeys);
  testing::AlignedArray<uint8_t> bytes(QuantizedPanelBytes(d));
  for (int64_t i = 0; i < panel.size(); ++i) panel[i] = static_cast<float>(i % 17) - 8.0F;
  const std::vector<float> zero(d, 0.0F);
  // The panel is transformed in place again and again: the gain keeps its numbers from growing.
  const std::vector<float> factor(d, 1.0F / static_cast<float>(HadamardSize(d)));
  for (auto _ : state) {
    TransformPanel(panel.data(), d, zero.data(), factor.data(), 1.0F);
    benchmark::DoNotOptimize(QuantizeKeys(panel.data(), d, bytes.data()));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kBlockKeys);
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (int64_t d : {64, 128}) {
    const std::string name = std::string("QuantizeKeys/") + target + "/d:" + std::to_string(d);
    benchmark::RegisterBenchmark(name.c_str(), QuantizeKeysBench, target, d);
  }
});

}  // namespace
}  // namespace topk
