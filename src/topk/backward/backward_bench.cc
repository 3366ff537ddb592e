// Training steps on two threads: forward, forward that leaves its selection in new or used memory, backward. Causal, 8
// heads, d = 64, f32: the layer's shape. And the sums of keys alone.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "topk/backward.h"
#include "topk/backward/gradients.h"
#include "topk/load/pack.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/each_target.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

constexpr int kThreads = 2;

Shape ShapeOf(int64_t n) {
  return {.n_query = n, .n_key = n, .n_head = 8, .n_head_kv = 8, .d_k = 64, .d_v = 64, .mask = Shape::Mask::kCausal};
}

enum class Pass { kForward, kForwardWithNewSelection, kForwardWithSelection, kBackward };

void TrainingBench(benchmark::State& state, Pass pass, int64_t n, int64_t k) {
  const RandomProblem problem(ShapeOf(n), 1);
  const AttentionInput& input = problem.input;
  const TopKOptions options{.k = k};
  const Executor executor = OpenMpExecutor(kThreads);
  OutputTensor out(input);
  OutputTensor d_q(input);
  OutputTensor d_k(input);
  OutputTensor d_v(input);
  Selection selection;
  Status status = Attention(input, options, {out.view(), &selection}, executor);
  for (auto _ : state) {
    if (pass == Pass::kForward) {
      status = Attention(input, options, {out.view()}, executor);
    } else if (pass == Pass::kForwardWithSelection) {
      status = Attention(input, options, {out.view(), &selection}, executor);
    } else if (pass == Pass::kForwardWithNewSelection) {
      Selection fresh;
      status = Attention(input, options, {out.view(), &fresh}, executor);
    } else {
      // The output serves as its gradient: any numbers do.
      const OutputView view = out.view();
      const TensorView d_out = {view.data, DataType::kF32, view.token_stride, view.head_stride, view.batch_stride};
      status =
          AttentionBackward(input, options, selection.View(), d_out, {d_q.view(), d_k.view(), d_v.view()}, executor);
    }
    if (!status.ok()) state.SkipWithError(status.message().c_str());
  }
  state.counters["ns_per_entry"] =
      benchmark::Counter(static_cast<double>(selection.keys.size()) * 1e-9 / kThreads,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// 128 rows that each chose one of 4 keys of a range of 64.
void AddToKeysBench(benchmark::State& state, const char* target) {
  UseSimdTarget(target);
  constexpr int64_t kKeys = 64;
  constexpr int64_t kRows = 128;
  constexpr int64_t kEntries = kKeys / 4;
  const testing::AlignedArray<float> x(kRows * 64);
  testing::AlignedArray<float> sums(kKeys * 128);
  std::vector<KeyIndex> keys;
  std::vector<int64_t> begins;
  std::vector<uint32_t> starts;
  for (int64_t r = 0; r < kRows; ++r) {
    begins.push_back(static_cast<int64_t>(keys.size()));
    starts.insert(starts.end(), {0, kEntries});
    for (KeyIndex e = 0; e < kEntries; ++e) keys.push_back(4 * e + static_cast<KeyIndex>(r + e) % 4);
  }
  const std::vector<float> factors(keys.size(), 0.5F);
  const RangeEntries entries = {.n_rows = kRows,
                                .keys = keys.data(),
                                .begins = begins.data(),
                                .firsts = begins.data(),
                                .starts = starts.data(),
                                .start_stride = 2};
  const KeyTerms term = {{x.data(), 64}, factors.data(), begins.data()};
  for (auto _ : state) {
    AddToKeys(entries, term, term, sums.data());
    benchmark::ClobberMemory();
  }
  state.counters["ns_per_entry"] =
      benchmark::Counter(static_cast<double>(keys.size()) * 1e-9,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

bool Register() {
  testing::ForEachTarget([](const char* target) {
    benchmark::RegisterBenchmark((std::string("AddToKeys/") + target + "/16 of 64/d:64").c_str(), AddToKeysBench,
                                 target);
  });
  for (int64_t k : {64, 128}) {
    for (int64_t n : {512, 1024, 4096, 10240, 16384}) {
      for (Pass pass : {Pass::kForward, Pass::kForwardWithNewSelection, Pass::kForwardWithSelection, Pass::kBackward}) {
        constexpr const char* kNames[] = {"Forward", "ForwardWithNewSelection", "ForwardWithSelection", "Backward"};
        const std::string name =
            std::string(kNames[static_cast<int>(pass)]) + "/n:" + std::to_string(n) + "/k:" + std::to_string(k);
        benchmark::RegisterBenchmark(name.c_str(), TrainingBench, pass, n, k)
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
    }
  }
  return true;
}

const bool kRegistered = Register();

}  // namespace
}  // namespace topk
