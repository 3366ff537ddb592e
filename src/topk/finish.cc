#include "topk/finish.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "topk/attend/attend.h"
#include "topk/canonical/canonical_row.h"
#include "topk/dropout/dropout.h"
#include "topk/load/pack.h"
#include "topk/select/count_for_share.h"

namespace topk {

namespace {

// A row's selection: keys ascending, and which of them are sinks (first) or window (last). Their scores are in
// FinishScratch: scores, or canonical if the row is.
struct RowSelection {
  int64_t count = 0;
  int64_t n_sinks = 0;
  int64_t n_window = 0;
  double log_sum_all = 0.0;  // of all visible keys, if the row measures its mass

  int64_t n_competing() const { return count - n_sinks - n_window; }
};

class RowFinisher {
 public:
  RowFinisher(const Call& call, RowState& row, const FinishScratch& scratch)
      : call_(call), row_(row), scratch_(scratch), scorer_(call, row.id) {}

  // The selection for the options' budget, into scratch. False if the row must run dense for its mass.
  bool Select(RowSelection& selection);

 private:
  void SelectWithBudget(int64_t budget, RowSelection& selection);
  void SelectFromCandidates(int64_t budget, RowSelection& selection);
  void SelectFromAllKeys(int64_t budget, RowSelection& selection);
  int64_t AppendForced(KeyIndex begin, KeyIndex end, int64_t at);
  int64_t BudgetForMass(const RowSelection& selection) const;

  const Call& call_;
  RowState& row_;
  const FinishScratch& scratch_;
  RowScorer scorer_;
};

// The visible keys of [begin, end), sinks or window, and their scores.
int64_t RowFinisher::AppendForced(KeyIndex begin, KeyIndex end, int64_t at) {
  int64_t n = 0;
  for (KeyIndex j = begin; j < end; ++j) {
    if (IsVisible(call_.input.mask.type, row_.mask, j)) scratch_.keys[at + n++] = j;
  }
  scorer_.Score({scratch_.keys + at, static_cast<size_t>(n)}, scratch_.forced_scores);
  std::transform(scratch_.forced_scores, scratch_.forced_scores + n, scratch_.scores + at,
                 [](double s) { return static_cast<float>(s); });
  return n;
}

void RowFinisher::SelectFromCandidates(int64_t budget, RowSelection& selection) {
  row_.candidates.KeepBest(budget, scorer_, scratch_.undecided);
  const int64_t n = row_.candidates.count();
  selection.n_sinks = AppendForced(row_.visible->begin, row_.visible->sinks_end, 0);
  std::copy_n(row_.candidates.scores(), n, scratch_.scores + selection.n_sinks);
  std::copy_n(row_.candidates.keys(), n, scratch_.keys + selection.n_sinks);
  selection.n_window = AppendForced(row_.visible->window_begin, row_.visible->end, selection.n_sinks + n);
  selection.count = selection.n_sinks + n + selection.n_window;
  if (row_.measures_mass) selection.log_sum_all = row_.all.Log();
}

void RowFinisher::SelectFromAllKeys(int64_t budget, RowSelection& selection) {
  const CanonicalSelection canonical = SelectCanonically(call_, row_.id, budget, scratch_.canonical);
  selection = {};
  selection.count = canonical.count;
  selection.log_sum_all = canonical.log_sum_all;
  for (int64_t j = 0; j < canonical.count; ++j) {
    const KeyIndex key = scratch_.canonical[j].key;
    scratch_.keys[j] = key;
    selection.n_sinks += key < row_.visible->sinks_end ? 1 : 0;
    selection.n_window += key >= row_.visible->window_begin ? 1 : 0;
  }
}

void RowFinisher::SelectWithBudget(int64_t budget, RowSelection& selection) {
  row_.is_canonical = row_.is_canonical || !row_.candidates.is_exact();
  row_.is_canonical ? SelectFromAllKeys(budget, selection) : SelectFromCandidates(budget, selection);
}

// The smallest budget from k on whose selection has the mass asked for; one more than there are if none has. A mass
// that is no number asks for nothing.
int64_t RowFinisher::BudgetForMass(const RowSelection& selection) const {
  constexpr float kNoSinkLogit = -std::numeric_limits<float>::infinity();
  float* weights = scratch_.weights;
  double log_sum_kept = 0.0;
  if (row_.is_canonical) {
    SoftmaxCanonically(scratch_.canonical, selection.count, kNoSinkLogit, weights);
    log_sum_kept = LogSumExp(scratch_.canonical, selection.count);
  } else {
    std::copy_n(scratch_.scores, selection.count, weights);
    log_sum_kept = Softmax(weights, selection.count, kNoSinkLogit).Log();
  }
  const double forced = std::accumulate(weights, weights + selection.n_sinks, 0.0) +
                        std::accumulate(weights + selection.count - selection.n_window, weights + selection.count, 0.0);
  const double share = call_.options.min_mass * std::exp(selection.log_sum_all - log_sum_kept);
  const int64_t n = selection.n_competing();
  const int64_t budget = CountForShare(weights + selection.n_sinks, n, share - forced);
  return std::max(budget, std::min(call_.BudgetOf(*row_.visible), n));
}

bool RowFinisher::Select(RowSelection& selection) {
  SelectWithBudget(call_.LargestBudgetOf(*row_.visible), selection);
  if (!(call_.options.min_mass > 0)) return true;
  const int64_t n = selection.n_competing();
  const int64_t budget = BudgetForMass(selection);
  if (budget > n) {
    return n == row_.visible->n_competing || !call_.options.dense_beyond_max_k || !call_.AllowsDense();
  }
  if (budget < n) SelectWithBudget(budget, selection);
  return true;
}

// mass: of the row's selection.
void Count(const Call& call, const RowState& row, int64_t n_kept, double mass, Statistics& statistics) {
  const bool is_measured = row.measures_mass && row.visible->count > 0 && !std::isnan(mass);
  mass = std::min(mass, 1.0);  // both sums round
  if (call.output.mass != nullptr) {
    call.output.mass[call.RowNumber(row.id)] =
        is_measured ? static_cast<float>(mass) : std::numeric_limits<float>::quiet_NaN();
  }
  statistics.rows += 1;
  statistics.dense_rows += n_kept == row.visible->count ? 1 : 0;
  statistics.keys_seen += row.visible->count;
  statistics.keys_kept += n_kept;
  statistics.keys_scored += row.is_dense || row.is_canonical ? row.visible->count : row.n_scored;
  if (!is_measured) return;
  statistics.mass_rows += 1;
  statistics.mass_sum += mass;
  statistics.mass_min = std::min(statistics.mass_min, mass);
}

// From the selection's scores to weights, in scratch.scores. Returns the log of the sum of exp(s), if the row measures
// its mass.
double Weigh(const Call& call, const RowState& row, const FinishScratch& scratch, int64_t count) {
  if (call.input.activation == Activation::kRelu) {
    if (row.is_canonical) {
      std::transform(scratch.canonical, scratch.canonical + count, scratch.scores,
                     [](const ScoredKey& s) { return static_cast<float>(s.score); });
    }
    std::transform(scratch.scores, scratch.scores + count, scratch.scores, Relu<float>);
    return 0.0;
  }
  const float sink = call.SinkLogitOf(row.id.head);
  if (!row.is_canonical) {
    const ExpSum kept = Softmax(scratch.scores, count, sink);
    return row.measures_mass ? kept.Log() : 0.0;
  }
  SoftmaxCanonically(scratch.canonical, count, sink, scratch.scores);
  return LogSumExp(scratch.canonical, count);
}

void FinishDenseRow(const Call& call, const RowState& row, const float* sum, Statistics& statistics) {
  float* out = call.output.out.Row(row.id.batch, row.id.query, row.id.head);
  if (row.visible->count == 0) {
    std::fill_n(out, call.input.d_v, 0.0F);
  } else if (row.is_canonical) {
    AttendAllCanonically(call, row.id, out);
  } else {
    ExpSum total = row.all;
    const float sink = call.SinkLogitOf(row.id.head);
    if (std::isfinite(sink)) total.Merge({sink, 1.0F});
    const float factor = std::exp(row.all.largest - total.largest) / total.sum;
    std::transform(sum, sum + call.input.d_v, out, [factor](float x) { return x * factor; });
  }
  Count(call, row, row.visible->count, 1.0, statistics);
}

// Asks for the memory that a row's output and selection will be written to: rows of a head lie apart by what all heads
// have there.
void PrefetchOutputs(const Call& call, const RowState& row) {
  constexpr int64_t kLineNumbers = kCacheLineBytes / sizeof(float);
  constexpr int64_t kMostEntries = 512;  // a mass target may keep far fewer than it may
  const float* out = call.output.out.Row(row.id.batch, row.id.query, row.id.head);
  for (int64_t i = 0; i < call.input.d_v; i += kLineNumbers) __builtin_prefetch(out + i, 1);
  if (!call.IsSelectionWanted()) return;
  const int64_t begin = call.staging.offsets[call.RowNumber(row.id)];
  const int64_t end = begin + std::min(kMostEntries, call.MostSelected(*row.visible));
  for (int64_t at = begin; at < end; at += kLineNumbers) {
    __builtin_prefetch(call.staging.keys + at, 1);
    __builtin_prefetch(call.staging.weights + at, 1);
  }
}

// Hands the selection to the caller, if that is wanted.
void Stage(const Call& call, const RowId& row, const FinishScratch& scratch, int64_t count) {
  if (!call.IsSelectionWanted()) return;
  const int64_t number = call.RowNumber(row);
  const int64_t begin = call.staging.offsets[number];
  std::copy_n(scratch.keys, count, call.staging.keys + begin);
  std::copy_n(scratch.scores, count, call.staging.weights + begin);
  if (call.staging.counts != nullptr) call.staging.counts[number] = count;
}

// False if the row must run dense.
bool FinishSparseRow(const Call& call, RowState& row, const FinishScratch& scratch, Statistics& statistics) {
  float* out = call.output.out.Row(row.id.batch, row.id.query, row.id.head);
  RowSelection selection;
  double mass = 1.0;
  if (row.visible->count == 0) {
    std::fill_n(out, call.input.d_v, 0.0F);
  } else {
    PrefetchOutputs(call, row);
    if (!RowFinisher(call, row, scratch).Select(selection)) return false;
    const double log_sum_kept = Weigh(call, row, scratch, selection.count);
    Stage(call, row.id, scratch, selection.count);
    const std::span<const KeyIndex> keys(scratch.keys, static_cast<size_t>(selection.count));
    if (call.input.dropout_p > 0) {
      DropWeights(DropoutRow::Of(call.input, call.RowNumber(row.id)), keys, scratch.scores);
    }
    WeightedSum(keys, scratch.scores, call.ValuesOf(row.id.batch, row.id.head / call.group), call.input.d_v, out);
    if (row.measures_mass && selection.count < row.visible->count) {
      mass = std::exp(log_sum_kept - selection.log_sum_all);
    }
  }
  Count(call, row, selection.count, mass, statistics);
  return true;
}

}  // namespace

FinishScratch FinishScratch::Take(Carver& carver, const Call& call, int64_t capacity) {
  const int64_t selected = call.MaxSelected();
  const int64_t forced = std::min(call.options.sinks + call.options.window, call.input.n_key);
  const int64_t twice_budget = 2 * std::min(call.LargestBudget(), call.input.n_key);
  return {.scores = carver.Take<float>(selected + kMaxLanes),
          .keys = carver.Take<KeyIndex>(selected),
          .weights = carver.Take<float>(selected + kMaxLanes),
          .forced_scores = carver.Take<double>(forced),
          .undecided = {.keys = carver.Take<KeyIndex>(capacity),
                        .scores = carver.Take<double>(capacity),
                        .ranked = carver.Take<ScoredKey>(capacity)},
          .canonical = carver.Take<ScoredKey>(std::min(twice_budget, call.input.n_key) + forced + kBlockKeys),
          .dense_again = carver.Take<int64_t>(kTileRows)};
}

void FinishPart(const Call& call, const Tile& tile, TilePart& part, const Workspace& work, const FinishScratch& scratch,
                Statistics& statistics) {
  size_t n_again = 0;
  const auto rows = part.rows();
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].is_dense) {
      FinishDenseRow(call, rows[r], part.sum(static_cast<int64_t>(r)), statistics);
    } else if (!FinishSparseRow(call, rows[r], scratch, statistics)) {
      scratch.dense_again[n_again++] = static_cast<int64_t>(r);
    }
  }
  if (n_again == 0) return;
  part.RestartAsDense(call, {scratch.dense_again, n_again});
  const auto [begin, end] = part.KeyRange();
  part.Scan(call, tile.batch, tile.head_kv, part.f32_rows(), begin, end, work);
  for (size_t r = 0; r < n_again; ++r) {
    FinishDenseRow(call, part.rows()[r], part.sum(static_cast<int64_t>(r)), statistics);
  }
}

}  // namespace topk
