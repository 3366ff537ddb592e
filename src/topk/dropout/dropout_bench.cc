// Time of dropping the weights of one selection.
#include <benchmark/benchmark.h>

#include <numeric>
#include <vector>

#include "topk/dropout/dropout.h"
#include "topk/testing/each_target.h"

namespace topk {
namespace {

void DropWeightsBench(benchmark::State& state, const char* target) {
  UseSimdTarget(target);
  std::vector<KeyIndex> keys(256);
  std::iota(keys.begin(), keys.end(), 0);
  std::vector<float> weights(keys.size(), 1.0F);
  AttentionInput input;
  input.dropout_p = 0x1p-20F;  // the weights stay near 1
  int64_t row = 0;
  for (auto _ : state) {
    DropWeights(DropoutRow::Of(input, row++), keys, weights.data());
    benchmark::ClobberMemory();
  }
}

const bool kRegistered = testing::ForEachTarget([](const char* target) {
  benchmark::RegisterBenchmark((std::string("DropWeights/") + target + "/256").c_str(), DropWeightsBench, target);
});

}  // namespace
}  // namespace topk
