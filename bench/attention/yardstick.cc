#include "attention/yardstick.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "topk/quantize/quantize.h"
#include "topk/scan/scan.h"
#include "topk/scan/scan_integers.h"
#include "topk/testing/aligned_array.h"

namespace qwen_infer::attention_bench {

namespace {

using topk::kBlockKeys;
using topk::kIntegerStride;
using topk::testing::AlignedArray;

// Rows of a tile, as prefill has them.
constexpr int64_t kRows = kIntegerStride;
// Keys of a run: long enough that handing out the tasks is nothing.
constexpr int64_t kBlocks = 128;
// Panels that a worker goes round on: 64 KiB in f32 at d = 128.
constexpr int64_t kPanels = 2;

constexpr double kUnitsPerWorker = static_cast<double>(kRows * kBlocks * kBlockKeys);

// Calls fn(index, worker) for each index on the executor's threads.
template <typename Fn>
void ForEach(const topk::Executor& executor, int64_t count, Fn& fn) {
  const topk::ParallelTask task = [](void* state, int64_t index, int worker) {
    (*static_cast<Fn*>(state))(index, worker);
  };
  executor.parallel_for(executor.context, count, task, &fn);
}

uint64_t SumOfWords(const uint64_t* words, int64_t count) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += words[i];
  return sum;
}

void ReadKeys(const ggml_tensor& k, const topk::Executor& executor) {
  const int64_t n_words = static_cast<int64_t>(ggml_nbytes(&k) / sizeof(uint64_t));
  const int64_t n_parts = 4 * int64_t{executor.n_workers};  // a thread that comes late does not hold up the rest
  std::atomic<uint64_t> sum = 0;                            // so that the loads are not optimised away
  auto read_part = [&](int64_t part, int /*worker*/) {
    const int64_t begin = part * n_words / n_parts;
    const int64_t end = (part + 1) * n_words / n_parts;
    sum += SumOfWords(static_cast<const uint64_t*>(k.data) + begin, end - begin);
  };
  ForEach(executor, n_parts, read_part);
}

// A worker's own tile of queries, keys and results.
struct F32Tile {
  explicit F32Tile(int64_t d) : queries(kRows * d), panels(kPanels * d * kBlockKeys), scores(kRows * kBlockKeys) {}
  void Multiply(int64_t d) {
    for (int64_t b = 0; b < kBlocks; ++b) {
      topk::MultiplyTile(queries.data(), d, panels.data() + b % kPanels * d * kBlockKeys, kBlockKeys, scores.data(),
                         kBlockKeys, kRows, kBlockKeys, d, false);
    }
  }
  AlignedArray<float> queries, panels, scores;
};

template <topk::NumberWidth kWidth>
struct IntegerTile {
  explicit IntegerTile(int64_t d)
      : queries(kRows * topk::QuantizedBytes(d, kWidth)),
        sums(kRows),
        panels(kPanels * topk::QuantizedPanelBytes(d, kWidth)),
        thresholds(kPanels * kIntegerStride),
        survivors(kRows * topk::kSurvivorStride) {}
  void Multiply(int64_t d) {
    for (int64_t b = 0; b < kBlocks; b += kPanels) {
      topk::ScanIntegers({queries.data(), sums.data(), kRows, kWidth}, panels.data(), kPanels, d, thresholds.data(),
                         survivors.data());
    }
  }
  AlignedArray<uint8_t> queries;
  AlignedArray<int32_t> sums;
  AlignedArray<uint8_t> panels;
  AlignedArray<int32_t> thresholds;
  AlignedArray<uint64_t> survivors;
};
using Int8Tile = IntegerTile<topk::NumberWidth::kInt8>;
using Int16Tile = IntegerTile<topk::NumberWidth::kInt16>;

template <typename Tile>
YardstickRun Products(Yardstick yardstick, int64_t d, const topk::Executor& executor) {
  const auto tiles = std::make_shared<std::vector<Tile>>();
  for (int worker = 0; worker < executor.n_workers; ++worker) tiles->emplace_back(d);
  const auto run = [tiles, d, executor](size_t /*copy*/) {
    auto multiply = [&](int64_t /*index*/, int worker) { (*tiles)[static_cast<size_t>(worker)].Multiply(d); };
    ForEach(executor, executor.n_workers, multiply);
  };
  return {yardstick, run, kUnitsPerWorker * static_cast<double>(d * executor.n_workers)};
}

}  // namespace

std::string_view NameOf(Yardstick yardstick) {
  constexpr std::array<std::string_view, kYardstickCount> kNames = {"read_bytes", "f32_products", "int8_products",
                                                                    "int16_products"};
  return kNames[IndexOf(yardstick)];
}

LeastWork LeastWorkOf(const Case& the_case, Method method) {
  const double passes = method == Method::kDense ? 2.0 : 1.0;
  if (the_case.IsDecode()) {
    const int64_t n_read =
        the_case.n_visible > 0 ? std::min(the_case.n_query * the_case.n_visible, the_case.n_key) : the_case.n_key;
    const auto share = static_cast<double>(n_read) / static_cast<double>(the_case.n_key);
    return {Yardstick::kRead, passes * share * static_cast<double>(the_case.KeyBytes())};
  }
  const Yardstick products = method == Method::kTopKInt8    ? Yardstick::kInt8Products
                             : method == Method::kTopKInt16 ? Yardstick::kInt16Products
                                                            : Yardstick::kF32Products;
  return {products, passes * static_cast<double>(the_case.VisiblePairs() * the_case.heads.d)};
}

std::vector<YardstickRun> YardsticksFor(const Problem& problem, const topk::Executor& executor) {
  if (!problem.the_case.IsDecode()) {
    const int64_t d = problem.the_case.heads.d;
    return {Products<F32Tile>(Yardstick::kF32Products, d, executor),
            Products<Int8Tile>(Yardstick::kInt8Products, d, executor),
            Products<Int16Tile>(Yardstick::kInt16Products, d, executor)};
  }
  const auto read = [&problem, executor](size_t copy) { ReadKeys(*problem.caches[copy].k, executor); };
  return {{Yardstick::kRead, read, static_cast<double>(problem.the_case.KeyBytes())}};
}

}  // namespace qwen_infer::attention_bench
