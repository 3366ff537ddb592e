// Top-k attention as its definition reads: all scores of a row, a sort, a softmax over the selection. The scores are
// the canonical ones; everything else is plain f64.
#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <vector>

#include "topk/attention.h"
#include "topk/canonical/canonical.h"
#include "topk/dropout/dropout.h"
#include "topk/numeric.h"
#include "topk/select/candidates.h"
#include "topk/validate.h"

namespace topk {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One row of the computation: a query of a head.
class Row {
 public:
  Row(const AttentionInput& input, const TopKOptions& options, int64_t batch, int64_t query, int64_t head)
      : input_(input),
        options_(options),
        batch_(batch),
        query_(query),
        head_(head),
        head_kv_(head / (input.n_head / input.n_head_kv)) {}

  void Compute(const AttentionOutput& output, Statistics& statistics);
  int64_t CountVisible();

 private:
  // In the order of outputs: [batch, query, head].
  int64_t RowNumber() const { return (batch_ * input_.n_query + query_) * input_.n_head + head_; }
  void ScoreVisibleKeys();
  bool MayRunDense(const AttentionOutput& output) const {
    return output.selection == nullptr && input_.activation == Activation::kSoftmax && input_.dropout_p == 0;
  }
  void Select(bool may_run_dense);
  std::vector<double> Weights() const;
  double LogSumExp(const std::vector<ScoredKey>& keys) const;
  void Attend(const AttentionOutput& output);

  const AttentionInput& input_;
  const TopKOptions& options_;
  int64_t batch_, query_, head_, head_kv_;
  std::vector<ScoredKey> visible_;   // by key
  std::vector<ScoredKey> selected_;  // by key
};

void Row::ScoreVisibleKeys() {
  const ScoreRule rule = ScoreRule::Of(input_, options_);
  const double slope = AlibiSlope(input_.alibi_max_bias, head_, input_.n_head);
  const auto* q = reinterpret_cast<const float*>(input_.q.Row(batch_, query_, head_));
  const int64_t end = input_.causal ? std::max<int64_t>(0, input_.n_key - input_.n_query + query_ + 1) : input_.n_key;
  for (int64_t j = 0; j < std::min(end, input_.n_key); ++j) {
    double bias = 0;
    if (input_.mask.data != nullptr) {
      const float mask = ReadNumber(input_.mask.type, input_.mask.Row(batch_, head_, query_), j);
      if (mask == -std::numeric_limits<float>::infinity()) continue;
      bias = slope * static_cast<double>(mask);
    }
    const double dot = CanonicalDotReference(q, input_.k.type, input_.k.Row(batch_, j, head_kv_), input_.d_k);
    visible_.push_back({rule.Apply(dot, bias), static_cast<KeyIndex>(j)});
  }
}

void Row::Select(bool may_run_dense) {
  const auto n = static_cast<int64_t>(visible_.size());
  const int64_t first_competing = std::min(n, options_.sinks);
  const int64_t last_competing = std::max(first_competing, n - std::min(n, options_.window));
  std::vector<ScoredKey> competing(visible_.begin() + first_competing, visible_.begin() + last_competing);
  std::sort(competing.begin(), competing.end(), RanksBefore);

  selected_.assign(visible_.begin(), visible_.begin() + first_competing);
  selected_.insert(selected_.end(), visible_.begin() + last_competing, visible_.end());
  const auto by_key = [](const ScoredKey& a, const ScoredKey& b) { return a.key < b.key; };
  const int64_t n_competing = last_competing - first_competing;
  int64_t budget = std::min(options_.BudgetFor(n), n_competing);
  if (options_.min_mass > 0) {
    const double all = LogSumExp(visible_);
    const auto mass_with = [&](int64_t count) {
      std::vector<ScoredKey> kept = selected_;
      kept.insert(kept.end(), competing.begin(), competing.begin() + count);
      return std::exp(LogSumExp(kept) - all);
    };
    const int64_t most = std::min(options_.max_k, n_competing);
    while (budget < most && mass_with(budget) < options_.min_mass) ++budget;
    if (may_run_dense && mass_with(budget) < options_.min_mass && options_.dense_beyond_max_k) budget = n_competing;
  }
  selected_.insert(selected_.end(), competing.begin(), competing.begin() + budget);
  std::sort(selected_.begin(), selected_.end(), by_key);
}

double Row::LogSumExp(const std::vector<ScoredKey>& keys) const {
  double largest = -kInfinity;
  for (const ScoredKey& s : keys) largest = std::max(largest, s.score);
  double sum = 0;
  for (const ScoredKey& s : keys) sum += std::exp(s.score - largest);
  return largest + std::log(sum);
}

std::vector<double> Row::Weights() const {
  std::vector<double> weights;
  for (const ScoredKey& s : selected_) weights.push_back(s.score);
  if (input_.activation == Activation::kRelu) {
    std::transform(weights.begin(), weights.end(), weights.begin(), Relu<double>);
    return weights;
  }
  double largest = input_.sink_logits != nullptr ? input_.sink_logits[head_] : -kInfinity;
  for (const double score : weights) largest = std::max(largest, score);
  double denominator = input_.sink_logits != nullptr ? std::exp(input_.sink_logits[head_] - largest) : 0;
  for (const double score : weights) denominator += std::exp(score - largest);
  for (double& weight : weights) weight = std::exp(weight - largest) / denominator;
  return weights;
}

void Row::Attend(const AttentionOutput& output) {
  const std::vector<double> weights = Weights();
  const DropoutRow dropout = DropoutRow::Of(input_, RowNumber());
  std::vector<double> sum(input_.d_v, 0.0);
  for (size_t s = 0; s < selected_.size(); ++s) {
    const KeyIndex key = selected_[s].key;
    if (output.selection != nullptr) {
      output.selection->keys.push_back(key);
      output.selection->weights.push_back(static_cast<float>(weights[s]));
    }
    const double factor = DropoutFactor(dropout, key);
    const double weight = factor == 0 ? 0 : factor * weights[s];
    const uint8_t* v = input_.v.Row(batch_, key, head_kv_);
    for (int64_t i = 0; i < input_.d_v; ++i) sum[i] += weight * static_cast<double>(ReadNumber(input_.v.type, v, i));
  }
  if (output.selection != nullptr) {
    output.selection->row_offsets.push_back(static_cast<int64_t>(output.selection->keys.size()));
  }
  std::transform(sum.begin(), sum.end(), output.out.Row(batch_, query_, head_),
                 [](double x) { return static_cast<float>(x); });
}

void Row::Compute(const AttentionOutput& output, Statistics& statistics) {
  ScoreVisibleKeys();
  const auto n_visible = static_cast<int64_t>(visible_.size());
  if (!options_.sparse && MayRunDense(output) && n_visible < options_.crossover) {
    selected_ = visible_;
  } else {
    Select(MayRunDense(output));
  }
  Attend(output);

  const auto n_selected = static_cast<int64_t>(selected_.size());
  statistics.rows += 1;
  statistics.dense_rows += n_selected == n_visible ? 1 : 0;
  statistics.keys_seen += n_visible;
  statistics.keys_kept += n_selected;
  statistics.keys_scored += n_visible;
  const bool sampled = options_.mass == MassMode::kSampled && SamplesMass(n_visible);
  double mass = std::numeric_limits<double>::quiet_NaN();  // not measured
  if (n_visible > 0 && (sampled || options_.mass == MassMode::kExact || options_.min_mass > 0)) {
    mass = n_selected == n_visible ? 1.0 : std::exp(LogSumExp(selected_) - LogSumExp(visible_));
  }
  if (output.mass != nullptr) output.mass[RowNumber()] = static_cast<float>(mass);
  if (std::isnan(mass)) return;  // as that of scores that are not finite
  statistics.mass_rows += 1;
  statistics.mass_sum += mass;
  statistics.mass_min = std::min(statistics.mass_min, mass);
}

int64_t Row::CountVisible() {
  ScoreVisibleKeys();
  return static_cast<int64_t>(visible_.size());
}

// Calls fn with every row in the order of the outputs.
template <typename Fn>
void ForEachRow(const AttentionInput& input, const TopKOptions& options, Fn&& fn) {
  for (int64_t batch = 0; batch < input.n_batch; ++batch) {
    for (int64_t query = 0; query < input.n_query; ++query) {
      for (int64_t head = 0; head < input.n_head; ++head) fn(Row(input, options, batch, query, head));
    }
  }
}

}  // namespace

Status ReferenceAttention(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output) {
  if (Status status = Validate(input, options, output); !status.ok()) return status;
  try {
    if (!options.fallback) {
      bool drops_keys = false;
      ForEachRow(input, options, [&](Row row) {
        const int64_t n = row.CountVisible();
        drops_keys = drops_keys || n > options.BudgetFor(n);
      });
      if (!drops_keys) return {StatusCode::kBudgetCoversAllKeys, "k covers all keys"};
    }
    Statistics statistics;
    if (output.selection != nullptr) *output.selection = Selection{{0}, {}, {}};
    ForEachRow(input, options, [&](Row row) { row.Compute(output, statistics); });
    if (output.statistics != nullptr) *output.statistics = statistics;
    return {};
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "out of memory in the reference attention"};
  }
}

}  // namespace topk
