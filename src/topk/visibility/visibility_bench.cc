// Time to read one mask row of 8,192 keys.
#include <benchmark/benchmark.h>

#include <vector>

#include "topk/testing/each_target.h"
#include "topk/visibility/visibility.h"

namespace topk {
namespace {

void FindVisibilityBench(benchmark::State& state, const char* target, DataType type) {
  UseSimdTarget(target);
  constexpr KeyIndex kKeys = 8192;
  const std::vector<uint8_t> mask(static_cast<size_t>(RowBytes(type, kKeys)), 0);
  for (auto _ : state) benchmark::DoNotOptimize(FindVisibility(type, mask.data(), kKeys, 4, 64));
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  for (DataType type : {DataType::kF16, DataType::kF32}) {
    const std::string name = std::string("FindVisibility/") + target + (type == DataType::kF16 ? "/f16" : "/f32");
    benchmark::RegisterBenchmark((name + "/8192").c_str(), FindVisibilityBench, target, type);
  }
});

}  // namespace
}  // namespace topk
