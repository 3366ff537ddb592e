#include "attention/contest.h"

#include <stdexcept>

#include "crossover.h"
#include "layer.h"
#include "op.h"
#include "settings.h"
#include "topk/call.h"

namespace qwen_infer::attention_bench {

namespace {

// The plugin's defaults but for k: the crossover is that of this machine, and few rows have their mass measured. In
// decode that is few calls, with round numbers of keys such as those here, so it is left out.
topk::TopKOptions OptionsAsUsed(const Case& the_case, int64_t k) {
  std::string warning;  // a file of another machine counts as none, in use too
  const CrossoverTable crossovers = LoadCrossovers(CrossoverPath(), ThisMachine(), warning);
  Settings settings;
  settings.options.k = k;
  if (the_case.IsDecode()) settings.options.mass = topk::MassMode::kOff;
  return settings.ForLayer(kUnknownLayer, the_case.n_key,
                           crossovers.Find(the_case.heads.d, the_case.n_query, kDefaultCrossover));
}

}  // namespace

topk::OutputView TightOutput(const topk::AttentionInput& input, float* numbers) {
  const int64_t row = static_cast<int64_t>(sizeof(float)) * input.d_v;
  return {numbers, row * input.n_head, row, row * input.n_head * input.n_query};
}

void RunAttention(const topk::AttentionInput& input, const topk::TopKOptions& options, float* output,
                  const Wanted& wanted, const topk::Executor& executor) {
  const topk::Status status =
      topk::Attention(input, options, {TightOutput(input, output), wanted.selection, wanted.statistics}, executor);
  if (!status.ok()) throw std::runtime_error(status.message());
}

std::vector<OurMethod> OurMethods(const Case& the_case, int64_t k) {
  std::vector<OurMethod> methods = {{Method::kTopKF32, {.k = k, .scan = topk::ScanMode::kF32}}};
  // Rows that see few keys for each that they keep gain nothing from integers.
  const int64_t fewest_visible = the_case.n_visible > 0 ? the_case.n_visible : the_case.n_key - the_case.n_query + 1;
  const bool all_rows_scan_integers = fewest_visible >= topk::kLeastKeysForInt8 * k;
  if (all_rows_scan_integers) methods.push_back({Method::kTopKInt8, {.k = k, .scan = topk::ScanMode::kInt8}});
  if (all_rows_scan_integers && !the_case.IsDecode()) {
    methods.push_back({Method::kTopKInt16, {.k = k, .scan = topk::ScanMode::kInt16}});
  }
  methods.push_back({Method::kDense, {.k = the_case.n_key}});
  methods.push_back({Method::kAsUsed, OptionsAsUsed(the_case, k)});
  return methods;
}

Contest::Contest(const CpuBackend& cpu, const Case& the_case, const Options& options,
                 const std::vector<OurMethod>& ours, const std::atomic<bool>& stop)
    : problem_(the_case, options.cold_bytes, stop), output_(static_cast<size_t>(the_case.Rows() * the_case.heads.d)) {
  AddStock(cpu, Method::kStockFlash);
  for (size_t copy = 0; copy < problem_.caches.size(); ++copy) inputs_.push_back(InputOf(stock_[0]->result(copy)));
  if (problem_.mask_f32 != nullptr) AddStock(cpu, Method::kStockProducts);

  const topk::Executor executor = topk::OpenMpExecutor(options.threads);
  for (const OurMethod& method : ours) AddOurs(method, executor);
}

void Contest::AddStock(const CpuBackend& cpu, Method method) {
  StockAttention* stock = stock_.emplace_back(std::make_unique<StockAttention>(cpu, problem_, method)).get();
  contestants_.push_back({method, [stock](size_t copy) { stock->Run(copy); }, stock->output(), {}});
}

void Contest::AddOurs(const OurMethod& method, topk::Executor executor) {
  executor.scratch = &scratch_.emplace_back();  // kept from call to call, as the backend of a model keeps it
  const auto run = [this, options = method.options, executor](size_t copy) {
    RunAttention(inputs_[copy], options, output_.data(), {}, executor);
  };
  contestants_.push_back({method.method, run, output_.data(), method.options});
}

}  // namespace qwen_infer::attention_bench
