#include "attention/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "attention/cache_size.h"
#include "attention/contest.h"
#include "attention/measure.h"
#include "attention/problem.h"
#include "attention/result.h"
#include "types.h"

namespace qwen_infer::attention_bench {

namespace {

// Heads as most models have them: four query heads on a KV head.
constexpr int64_t kHeads = 8;
constexpr int64_t kHeadsKv = 2;
constexpr int64_t kHeadSizes[] = {64, 128};
constexpr int64_t kDecodeQueries = 1;
constexpr int64_t kPrefillQueries = 512;  // as many as llama.cpp computes at once by default
constexpr std::array<int64_t, 7> kTried = {512, 768, 1024, 1536, 2048, 3072, 4096};
// Of each method, in turns; the median of the ratios counts.
constexpr int kRounds = 5;
// Decode is measured over so many calls that the clock's resolution is nothing.
constexpr double kLeastSeconds = 0.003;
// K of all copies; V takes as much again. More than most caches hold, less than most machines can spare.
constexpr int64_t kMostColdBytes = int64_t{128} << 20;

topk::TensorView ViewOf(const ggml_tensor& tensor, int64_t first_token) {
  return {static_cast<const uint8_t*>(tensor.data) + first_token * static_cast<int64_t>(tensor.nb[2]),
          DataTypeOf(tensor.type).value_or(topk::DataType::kF16), static_cast<int64_t>(tensor.nb[2]),
          static_cast<int64_t>(tensor.nb[1]), 0};
}

// One head size and number of queries, with any number of keys up to the most.
class Rivals {
 public:
  Rivals(int64_t head_size, int64_t n_query, int threads, const std::atomic<bool>& stop)
      : problem_(
            {.heads = {kHeads, kHeadsKv, head_size}, .type = GGML_TYPE_F16, .n_query = n_query, .n_key = kTried.back()},
            std::min(2 * LastLevelCacheBytes(), kMostColdBytes)),
        output_(static_cast<size_t>(problem_.the_case.Rows() * head_size)),
        executor_(topk::OpenMpExecutor(threads)),
        stop_(stop) {}

  Trial Try(int64_t n_key) {
    // Without mass: few rows have it measured in use, and those with round numbers of keys, as here, are among them.
    const topk::TopKOptions top_k = {.k = kCalibratedBudget, .sparse = true};
    const topk::TopKOptions dense = {.k = kCalibratedBudget, .crossover = n_key + 1};
    Seconds(n_key, top_k);  // warms up
    std::vector<double> top_k_seconds;
    std::vector<double> dense_seconds;
    for (int round = 0; round < kRounds; ++round) {
      dense_seconds.push_back(Seconds(n_key, dense));
      top_k_seconds.push_back(Seconds(n_key, top_k));
    }
    return {n_key, RatioOfNeighbours(top_k_seconds, dense_seconds).median};
  }

 private:
  // Of a call. Every call takes the next piece of the caches, which so was not used for long.
  double Seconds(int64_t n_key, const topk::TopKOptions& options) {
    return SecondsPerCall(kLeastSeconds, stop_,
                          [&] { RunAttention(InputOf(next_piece_++, n_key), options, output_.data(), {}, executor_); });
  }

  topk::AttentionInput InputOf(size_t piece, int64_t n_key) const {
    const size_t pieces_of_copy = problem_.the_case.n_key / n_key;
    const Cache& cache = problem_.caches[piece / pieces_of_copy % problem_.caches.size()];
    const int64_t first = static_cast<int64_t>(piece % pieces_of_copy) * n_key;
    const Case& shape = problem_.the_case;
    topk::AttentionInput input;
    input.n_query = std::min(shape.n_query, n_key);
    input.n_key = n_key;
    input.n_head = shape.heads.n_head;
    input.n_head_kv = shape.heads.n_head_kv;
    input.d_k = shape.heads.d;
    input.d_v = shape.heads.d;
    input.q = ViewOf(*problem_.q, 0);
    input.k = ViewOf(*cache.k, first);
    input.v = ViewOf(*cache.v, first);
    input.causal = true;
    input.scale = shape.Scale();
    return input;
  }

  Problem problem_;
  std::vector<float> output_;
  topk::Executor executor_;
  const std::atomic<bool>& stop_;
  size_t next_piece_ = 0;
};

}  // namespace

int64_t FindCrossover(const std::vector<Trial>& trials) {
  int64_t crossover = 2 * trials.back().n_key;
  double sum = 0;
  double least = 0;
  for (auto trial = trials.rbegin(); trial != trials.rend(); ++trial) {
    sum += std::log(trial->share);
    if (sum >= least) continue;
    least = sum;
    crossover = trial->n_key;
  }
  return crossover;
}

std::vector<Crossover> MeasureCrossovers(int threads, const std::atomic<bool>& stop,
                                         const std::function<void(std::string_view)>& say) {
  std::vector<Crossover> found;
  for (const int64_t head_size : kHeadSizes) {
    for (const int64_t n_query : {kDecodeQueries, kPrefillQueries}) {
      Rivals rivals(head_size, n_query, threads, stop);
      std::vector<Trial> trials;
      for (const int64_t n_key : kTried) trials.push_back(rivals.Try(n_key));
      const int64_t crossover = FindCrossover(trials);
      found.push_back({head_size, n_query, crossover});
      say("heads of " + std::to_string(head_size) + ", " + (n_query == 1 ? "decode" : "prefill") +
          ": top-k is faster from " + std::to_string(crossover) + " keys on");
    }
  }
  return found;
}

}  // namespace qwen_infer::attention_bench
