// Bytes of keys per second of the scores of few rows, from cache and from memory.
#include "topk/bf16x3/bf16x3.h"

#include <benchmark/benchmark.h>

#include <numeric>
#include <random>
#include <string>

#include "topk/amx.h"
#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

constexpr const char* kTypeNames[] = {"f32", "f16", "bf16", "q8_0"};
constexpr int64_t kHeads = 2;

// Token by token, all heads of a block in turn.
void ScoresBench(benchmark::State& state, DataType type, int64_t n_rows, int64_t d, int64_t n_keys) {
  std::mt19937 random(1);
  testing::RandomTensor keys(type, 1, n_keys, kHeads, d, 0);
  keys.FillGaussian(random);
  testing::AlignedArray<float> queries(n_rows * d), scores(n_rows * kBlockKeys), reach(kMostBf16Rows);
  testing::AlignedArray<int32_t> magnitude(d);
  testing::AlignedArray<uint8_t> tiles(Bf16QueryBytes(d));
  if (!SuitsBf16x3(type, d) || !SplitQueries(type, queries.data(), n_rows, d, tiles.data())) {
    return state.SkipWithError("no AMX here");
  }
  const AmxRegisters registers;
  const TensorView& view = keys.view();
  for (auto _ : state) {
    for (int64_t first = 0; first < n_keys; first += kBlockKeys) {
      for (int64_t head = 0; head < kHeads; ++head) {
        TensorView of_head = view;
        of_head.data = view.Row(0, 0, head);
        const FetchAhead next{view.Row(0, first + kBlockKeys, 0), kBlockKeys * view.token_stride};
        ScoreBf16x3(tiles.data(), n_rows, {of_head, first, kBlockKeys, next.Part(head, kHeads)}, d, reach.data(),
                    scores.data(), kBlockKeys, magnitude.data());
      }
    }
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * n_keys * view.token_stride);
}

// What reading the same keys takes at least.
void ReadBench(benchmark::State& state, DataType type, int64_t d, int64_t n_keys) {
  const testing::RandomTensor keys(type, 1, n_keys, kHeads, d, 0);
  const auto* words = reinterpret_cast<const uint64_t*>(keys.bytes().data());
  const int64_t n_bytes = n_keys * keys.view().token_stride;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        std::accumulate(words, words + n_bytes / static_cast<int64_t>(sizeof(uint64_t)), uint64_t{0}));
  }
  state.SetBytesProcessed(state.iterations() * n_bytes);
}

const bool kRegistered = [] {
  for (const DataType type : {DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
    for (const int64_t d : {64, 128}) {
      for (const int64_t n_keys : {int64_t{2048}, int64_t{1} << 22}) {  // beyond the L3 cache of a large machine
        const std::string name = std::string(kTypeNames[static_cast<int>(type)]) + "/d:" + std::to_string(d) +
                                 "/keys:" + std::to_string(n_keys);
        benchmark::RegisterBenchmark(("Scores/rows:7/" + name).c_str(), ScoresBench, type, 7, d, n_keys);
        benchmark::RegisterBenchmark(("Read/" + name).c_str(), ReadBench, type, d, n_keys);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace topk
