#include "topk/canonical/canonical_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "topk/canonical/canonical.h"
#include "topk/load/pack.h"

namespace topk {

namespace {

// Running log of a sum of exponentials in f64.
class LogSum {
 public:
  void Add(double s) {
    if (s == -std::numeric_limits<double>::infinity()) return;  // adds nothing; -inf - -inf would be NaN
    if (s > largest_) {
      sum_ *= std::exp(largest_ - s);
      largest_ = s;
    }
    sum_ += std::exp(s - largest_);
  }
  double Log() const { return largest_ + std::log(sum_); }

 private:
  double largest_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0.0;
};

}  // namespace

RowScorer::RowScorer(const Call& call, const RowId& row)
    : call_(call),
      query_(call.QueryOf(row)),
      mask_(call.MaskOf(row)),
      slope_(static_cast<double>(call.SlopeOf(row.head))),
      keys_(call.KeysOf(row.batch, row.head / call.group)) {}

void RowScorer::Score(std::span<const KeyIndex> keys, double* scores) const {
  CanonicalDots(query_, keys_, call_.input.d_k, keys, scores);
  for (size_t j = 0; j < keys.size(); ++j) {
    const double bias =
        mask_ == nullptr ? 0.0 : slope_ * static_cast<double>(ReadNumber(call_.input.mask.type, mask_, keys[j]));
    scores[j] = call_.rule.Apply(scores[j], bias);
  }
}

namespace {

// Calls fn(keys, scores) for the visible keys of a row, a block at a time.
template <typename Fn>
void ForVisibleBlocks(const Call& call, const RowId& row, const RowScorer& scorer, Fn&& fn) {
  const Visibility& visible = call.VisibilityOf(row);
  const uint8_t* mask = call.MaskOf(row);
  for (KeyIndex block = visible.begin; block < visible.end; block += kBlockKeys) {
    std::array<KeyIndex, kBlockKeys> keys;
    std::array<double, kBlockKeys> scores;
    size_t n = 0;
    for (KeyIndex j = block; j < std::min<KeyIndex>(block + kBlockKeys, visible.end); ++j) {
      if (IsVisible(call.input.mask.type, mask, j)) keys[n++] = j;
    }
    scorer.Score({keys.data(), n}, scores.data());
    fn(std::span<const KeyIndex>(keys.data(), n), scores.data());
  }
}

}  // namespace

CanonicalSelection SelectCanonically(const Call& call, const RowId& row, int64_t budget, ScoredKey* selected) {
  const Visibility& visible = call.VisibilityOf(row);
  const auto is_forced = [&](KeyIndex j) { return j < visible.sinks_end || j >= visible.window_begin; };
  budget = std::min<int64_t>(budget, visible.n_competing);
  // The forced keys come first in `selected`, then the competing ones, pruned to the budget whenever they fill it
  // twice.
  ScoredKey* competing = selected + (visible.count - visible.n_competing);
  const int64_t prune_at = std::min<int64_t>(2 * budget, visible.n_competing);
  int64_t forced = 0;
  int64_t count = 0;
  LogSum all;
  const auto prune = [&] {
    if (count <= budget) return;
    std::nth_element(competing, competing + budget, competing + count, RanksBefore);
    count = budget;
  };
  const RowScorer scorer(call, row);
  ForVisibleBlocks(call, row, scorer, [&](std::span<const KeyIndex> keys, const double* scores) {
    for (size_t j = 0; j < keys.size(); ++j) {
      all.Add(scores[j]);
      (is_forced(keys[j]) ? selected[forced++] : competing[count++]) = ScoredKey{scores[j], keys[j]};
    }
    if (count > prune_at) prune();
  });
  prune();
  std::sort(selected, selected + forced + count, [](const ScoredKey& a, const ScoredKey& b) { return a.key < b.key; });
  return {forced + count, all.Log()};
}

double LogSumExp(const ScoredKey* keys, int64_t count) {
  LogSum sum;
  for (int64_t j = 0; j < count; ++j) sum.Add(keys[j].score);
  return sum.Log();
}

void SoftmaxCanonically(const ScoredKey* keys, int64_t count, double sink_logit, float* weights) {
  double largest = sink_logit;
  for (int64_t j = 0; j < count; ++j) largest = std::max(largest, keys[j].score);
  double denominator = std::isinf(sink_logit) && sink_logit < 0 ? 0.0 : std::exp(sink_logit - largest);
  for (int64_t j = 0; j < count; ++j) denominator += std::exp(keys[j].score - largest);
  for (int64_t j = 0; j < count; ++j) weights[j] = static_cast<float>(std::exp(keys[j].score - largest) / denominator);
}

void AttendAllCanonically(const Call& call, const RowId& row, float* out) {
  const RowScorer scorer(call, row);
  double largest = static_cast<double>(call.SinkLogitOf(row.head));
  const double sink = largest;
  ForVisibleBlocks(call, row, scorer, [&](std::span<const KeyIndex> keys, const double* scores) {
    for (size_t j = 0; j < keys.size(); ++j) largest = std::max(largest, scores[j]);
  });
  const TensorView values = call.ValuesOf(row.batch, row.head / call.group);
  const int64_t d = call.input.d_v;
  std::array<double, kMaxHeadSize> sum{};
  double denominator = std::isinf(sink) && sink < 0 ? 0.0 : std::exp(sink - largest);
  ForVisibleBlocks(call, row, scorer, [&](std::span<const KeyIndex> keys, const double* scores) {
    for (size_t j = 0; j < keys.size(); ++j) {
      const double weight = std::exp(scores[j] - largest);
      const uint8_t* value = values.Row(0, keys[j], 0);
      denominator += weight;
      for (int64_t i = 0; i < d; ++i) sum[i] += weight * static_cast<double>(ReadNumber(values.type, value, i));
    }
  });
  for (int64_t i = 0; i < d; ++i) out[i] = static_cast<float>(sum[i] / denominator);
}

}  // namespace topk
