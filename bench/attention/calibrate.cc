#include "attention/calibrate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "attention/cache_size.h"
#include "attention/contest.h"
#include "attention/measure.h"
#include "attention/stock.h"
#include "shared/fixed.h"
#include "shared/interrupted.h"
#include "shared/ratio.h"
#include "shared/stopwatch.h"

namespace qwen_infer::attention_bench {

namespace {

// Heads as most models have them: four query heads on a KV head.
constexpr int64_t kHeads = 8;
constexpr int64_t kHeadsKv = 2;
constexpr int64_t kHeadSizes[] = {64, 128};
constexpr int64_t kDecodeQueries = 1;
constexpr int64_t kPrefillQueries = 512;  // as many as llama.cpp computes at once by default
// The last ones only as long as top-k is not faster yet.
constexpr std::array<int64_t, 10> kTried = {512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288};
constexpr size_t kAlwaysTried = 7;
// Of each method, in turns; the median of the ratios counts.
constexpr int kRounds = 5;
// Decode is measured over so many calls that the clock's resolution is nothing.
constexpr double kLeastSeconds = 0.003;
// K of all copies; V takes twice as much again, for llama.cpp keeps it transposed. More than most caches hold, less
// than most machines can spare.
constexpr int64_t kMostColdBytes = int64_t{128} << 20;
// Rounds that differ by more than this share are repeated, until this time has passed in all.
constexpr double kSteadySpread = 1.2;
constexpr double kSecondsForRepeating = 25;
// Shares of llama.cpp's time above which ours is called slower: less is within what rounds differ by.
constexpr double kSlower = 1.05;

double SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t left_out = values.size() > 2 ? 1 : 0;
  return values[values.size() - 1 - left_out] / values[left_out];
}

Trial TrialOf(int64_t n_key, const Times& times) {
  const std::vector<double>& top_k = times.call[IndexOf(Method::kAsUsed)];
  const std::vector<double>& dense = times.call[IndexOf(Method::kDense)];
  const std::vector<double>& flash = times.call[IndexOf(Method::kStockFlash)];
  const std::vector<double>& products = times.call[IndexOf(Method::kStockProducts)];
  const std::vector<double>& llama = Median(flash) <= Median(products) ? flash : products;
  std::vector<double> shares;
  for (size_t round = 0; round < top_k.size(); ++round) shares.push_back(top_k[round] / dense[round]);
  constexpr double kMicro = 1e6;
  return {.n_key = n_key,
          .share = Median(shares),
          .top_k = kMicro * Median(top_k),
          .dense = kMicro * Median(dense),
          .llama = kMicro * Median(llama),
          .top_k_llama = RatioOfNeighbours(top_k, llama).median,
          .dense_llama = RatioOfNeighbours(dense, llama).median,
          .spread = SpreadOf(shares)};
}

// All ways of one shape at one number of keys, on K and V that are cold in decode.
class Rivals {
 public:
  Rivals(const CpuBackend& cpu, int threads, int64_t head_size, int64_t n_query, int64_t n_key,
         const std::atomic<bool>& stop)
      : stop_(stop),
        options_(OptionsOf(threads)),
        contest_(cpu, CaseOf(head_size, n_query, n_key), options_, Ours(n_key), stop) {}

  Trial Try() const {
    for (const Contestant& contestant : contest_.contestants()) {  // warms up
      if (stop_) throw Interrupted();
      contestant.run(0);
    }
    return TrialOf(contest_.problem().the_case.n_key, Measure(contest_, {}, options_, stop_));
  }

 private:
  static Options OptionsOf(int threads) {
    Options options;
    options.threads = threads;
    options.seconds = kLeastSeconds;
    options.repeat = kRounds;
    options.cold_bytes = std::min(2 * LastLevelCacheBytes(), kMostColdBytes);
    return options;
  }
  static Case CaseOf(int64_t head_size, int64_t n_query, int64_t n_key) {
    return {.heads = {kHeads, kHeadsKv, head_size}, .type = GGML_TYPE_F16, .n_query = n_query, .n_key = n_key};
  }
  // Without mass: few rows have it measured in use, and those with round numbers of keys, as here, are among them.
  static std::vector<OurMethod> Ours(int64_t n_key) {
    return {{Method::kDense, {.k = n_key}}, {Method::kAsUsed, {.k = kCalibratedBudget, .sparse = true}}};
  }

  const std::atomic<bool>& stop_;
  Options options_;
  Contest contest_;
};

std::string Keys(int64_t n) { return std::to_string(n) + " keys"; }

std::string Microseconds(double x) { return Fixed(x, x < 100 ? 1 : 0); }

}  // namespace

bool Trial::IsNoisy() const { return spread > kSteadySpread; }

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

Trial TrySteadily(const std::function<Trial()>& attempt, const std::function<bool()>& may_repeat) {
  Trial best = attempt();
  for (int more = 1; more < kMostAttempts && best.IsNoisy() && may_repeat(); ++more) {
    const Trial again = attempt();
    if (again.spread < best.spread) best = again;
  }
  return best;
}

std::string Report(std::string_view what, const std::vector<Trial>& trials, int64_t crossover) {
  std::ostringstream text;
  constexpr int kColumn = 12;
  const auto cell = [&text](std::string_view content) { text << std::setw(kColumn) << content; };
  text << what << ", microseconds a call:\n";
  for (const std::string_view title : {"keys", "top-k", "dense", "llama.cpp"}) cell(title);
  text << "\n";
  for (const Trial& trial : trials) {
    cell(std::to_string(trial.n_key));
    for (const double time : {trial.top_k, trial.dense, trial.llama}) cell(Microseconds(time));
    if (trial.IsNoisy()) text << "  rounds differ by " << Fixed(100 * (trial.spread - 1), 0) << " %";
    text << "\n";
  }
  text << "top-k from " << Keys(crossover) << " on, dense below";
  return text.str();
}

std::vector<std::string> Warnings(std::string_view what, const std::vector<Trial>& trials, int64_t crossover) {
  std::vector<std::string> warnings;
  for (const Trial& trial : trials) {
    const bool takes_top_k = trial.n_key >= crossover;
    const double share = takes_top_k ? trial.top_k_llama : trial.dense_llama;
    if (share <= kSlower) continue;
    const bool both_are = std::min(trial.top_k_llama, trial.dense_llama) > kSlower;
    warnings.push_back(std::string(what) + ", " + Keys(trial.n_key) + ": " +
                       (both_are      ? "both our ways are"
                        : takes_top_k ? "top-k is"
                                      : "dense is") +
                       " slower than llama.cpp's attention, which takes " + Microseconds(trial.llama) +
                       " us a call; what is used takes " + Fixed(share, 2) + " times that");
  }
  return warnings;
}

Calibration Calibrate(int threads, const std::atomic<bool>& stop, const std::function<void(std::string_view)>& say) {
  if (stop) throw Interrupted();
  const Stopwatch stopwatch;
  const auto may_repeat = [&stopwatch] { return stopwatch.Seconds() < kSecondsForRepeating; };
  const CpuBackend cpu(threads);
  Calibration found;
  for (const int64_t head_size : kHeadSizes) {
    for (const int64_t n_query : {kDecodeQueries, kPrefillQueries}) {
      std::vector<Trial> trials;
      for (const int64_t n_key : kTried) {
        if (trials.size() >= kAlwaysTried && trials.back().share < 1) break;
        const Rivals rivals(cpu, threads, head_size, n_query, n_key, stop);
        trials.push_back(TrySteadily([&] { return rivals.Try(); }, may_repeat));
        ++found.n_trials;
        found.n_noisy += trials.back().IsNoisy() ? 1 : 0;
      }
      const int64_t crossover = FindCrossover(trials);
      found.crossovers.push_back({head_size, n_query, crossover});
      const std::string what = "heads of " + std::to_string(head_size) + ", " +
                               (n_query == 1 ? "decode" : "prefill of " + std::to_string(n_query));
      say(Report(what, trials, crossover));
      const std::vector<std::string> warnings = Warnings(what, trials, crossover);
      found.warnings.insert(found.warnings.end(), warnings.begin(), warnings.end());
    }
  }
  return found;
}

}  // namespace qwen_infer::attention_bench
