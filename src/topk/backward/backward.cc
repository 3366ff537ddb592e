// The backward pass: check the keys and find where the ranges of keys begin in each row; then row by row what flows to
// scores and queries; then range by range what flows to keys and values.
#include "topk/backward.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <type_traits>

#include "topk/arena.h"
#include "topk/attend/attend.h"
#include "topk/backward/arguments.h"
#include "topk/backward/gradients.h"
#include "topk/call.h"
#include "topk/dropout/dropout.h"
#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/scan/score_keys.h"
#include "topk/validate.h"

namespace topk {

namespace {

// Rows whose keys are checked by one task.
constexpr int64_t kCheckedRows = 256;
// Sums of a key range: a part of an L2 cache, beside the rows that stream by.
constexpr int64_t kRangeBytes = int64_t{256} << 10;
// A row enters a range at a cost of about four of its entries: ranges get wider until that many fall into each on
// average, but no wider than this.
constexpr int64_t kLeastEntriesPerRange = 4;
constexpr int64_t kMostRangeBytes = int64_t{4} << 20;
// Rows whose queries and gradients are fetched ahead.
constexpr int64_t kPrefetchRows = 2;

// Key range r is [r << shift, (r + 1) << shift).
struct KeyRanges {
  int shift = 0;
  int64_t count = 0;

  int64_t keys() const { return int64_t{1} << shift; }

  static KeyRanges Of(int64_t n_key, int64_t rows, int64_t entries, int64_t bytes_per_key) {
    KeyRanges ranges;
    const auto count_with = [n_key](int shift) { return ((n_key - 1) >> shift) + 1; };
    const int64_t most = entries / std::max<int64_t>(1, rows) / kLeastEntriesPerRange;
    while (count_with(ranges.shift) > 1) {
      const int64_t bytes = bytes_per_key << (ranges.shift + 1);
      if (bytes > kMostRangeBytes || (bytes > kRangeBytes && count_with(ranges.shift) <= most)) break;
      ++ranges.shift;
    }
    ranges.count = n_key == 0 ? 0 : count_with(ranges.shift);
    return ranges;
  }
};

template <class Fn>
void ParallelForEach(const Executor& executor, int64_t count, Fn&& fn) {
  if (count == 0) return;
  const ParallelTask task = [](void* opaque, int64_t index, int worker) {
    (*static_cast<std::remove_reference_t<Fn>*>(opaque))(index, worker);
  };
  executor.parallel_for(executor.context, count, task, &fn);
}

class Backward {
 public:
  Backward(Carver& carver, const Call& call, const SelectionView& selection, const TensorView& d_out,
           const AttentionGradients& gradients, int n_workers);

  // The first row, in order, whose keys are not valid; -1 if all are.
  int64_t CheckKeys(const Executor& executor);
  void Run(const Executor& executor);

 private:
  // Per thread: one row at a time, or the sums of one key range.
  struct Worker {
    float* weights;    // [padded_row_]
    float* gradients;  // [padded_row_ + kMaxLanes]: of weights, then of scores
    float* capped;     // [padded_row_ + kMaxLanes]: scores, under a soft-cap
    float* d_out;      // [PadToLanes(d_v)]
    float* query;      // [PadToLanes(d_k)]: scaled; then the row's sum of keys
    float* sums;       // [ranges_.keys()][sum_stride_]
  };

  bool WantsKeySums() const { return gradients_.d_k.data != nullptr || gradients_.d_v.data != nullptr; }
  bool WantsScoreGradients() const {
    return gradients_.d_q.data != nullptr || gradients_.d_k.data != nullptr || gradients_.d_scores != nullptr ||
           gradients_.d_scale != nullptr;
  }
  bool HasSoftcap() const { return call_.input.softcap > 0; }
  const float* DOutOf(const RowId& row) const {
    return reinterpret_cast<const float*>(d_out_.Row(row.batch, row.query, row.head));
  }
  // For each key range, and the end: which of the row's entries is the first in it.
  uint32_t* RangeStartsOf(int64_t row) const { return range_starts_ + row * (ranges_.count + 1); }

  int64_t CheckRows(int64_t first, int64_t last) const;
  void FindRangeStarts(int64_t row) const;
  void ComputeTile(int64_t index, const Worker& worker) const;
  double ComputeRow(const RowId& row, const Worker& worker) const;
  void ComputeKeyRange(int64_t index, const Worker& worker) const;
  void AddRow(const RowId& row, int64_t range, const Worker& worker) const;

  const Call& call_;
  const SelectionView& selection_;
  const TensorView& d_out_;
  const AttentionGradients& gradients_;
  int64_t padded_row_ = 0;  // entries of the longest row, padded to whole blocks
  int64_t sum_stride_ = 0;
  KeyRanges ranges_;
  int64_t* invalid_rows_;             // [tasks]: CheckKeys'
  uint32_t* range_starts_;            // [rows][ranges_.count + 1]
  float* input_gradients_ = nullptr;  // [entries]: of scores before the soft-cap
  double* scale_sums_;                // [tiles]
  Worker* workers_;
};

Backward::Backward(Carver& carver, const Call& call, const SelectionView& selection, const TensorView& d_out,
                   const AttentionGradients& gradients, int n_workers)
    : call_(call), selection_(selection), d_out_(d_out), gradients_(gradients) {
  const int64_t rows = call.RowCount();
  const auto entries = static_cast<int64_t>(selection.keys.size());
  int64_t longest = 0;
  for (int64_t r = 0; r < rows; ++r) {
    longest = std::max(longest, selection.row_offsets[r + 1] - selection.row_offsets[r]);
  }
  padded_row_ = (longest + kBlockKeys - 1) / kBlockKeys * kBlockKeys;
  const int64_t d_k = PadToLanes(call.input.d_k);
  const int64_t d_v = PadToLanes(call.input.d_v);
  if (gradients.d_k.data != nullptr) sum_stride_ += d_k;
  if (gradients.d_v.data != nullptr) sum_stride_ += d_v;
  if (WantsKeySums()) {
    ranges_ = KeyRanges::Of(call.input.n_key, rows, entries, sum_stride_ * static_cast<int64_t>(sizeof(float)));
  }
  invalid_rows_ = carver.Take<int64_t>((rows + kCheckedRows - 1) / kCheckedRows);
  range_starts_ = carver.Take<uint32_t>(WantsKeySums() ? rows * (ranges_.count + 1) : 0);
  if (gradients.d_scores != nullptr && !HasSoftcap()) {
    input_gradients_ = gradients.d_scores;
  } else if (gradients.d_k.data != nullptr) {
    input_gradients_ = carver.Take<float>(entries);
  }
  scale_sums_ = carver.Take<double>(call.TileCount());
  workers_ = carver.Take<Worker>(n_workers);
  for (int w = 0; w < n_workers; ++w) {
    const Worker worker = {.weights = carver.Take<float>(padded_row_),
                           .gradients = carver.Take<float>(padded_row_ + kMaxLanes),
                           .capped = carver.Take<float>(HasSoftcap() ? padded_row_ + kMaxLanes : 0),
                           .d_out = carver.Take<float>(d_v),
                           .query = carver.Take<float>(d_k),
                           .sums = carver.Take<float>(WantsKeySums() ? ranges_.keys() * sum_stride_ : 0)};
    if (workers_ != nullptr) std::construct_at(workers_ + w, worker);
  }
}

void Backward::FindRangeStarts(int64_t row) const {
  uint32_t* starts = RangeStartsOf(row);
  std::fill_n(starts, ranges_.count + 1, 0U);
  uint32_t n = 0;
  for (const KeyIndex key : KeysOfRow(selection_, row)) starts[(key >> ranges_.shift) + 1] = ++n;
  for (int64_t r = 0; r < ranges_.count; ++r) starts[r + 1] = std::max(starts[r], starts[r + 1]);
}

int64_t Backward::CheckRows(int64_t first, int64_t last) const {
  for (int64_t row = first; row < last; ++row) {
    if (!AreKeysValid(KeysOfRow(selection_, row), call_.input.n_key)) return row;
    if (WantsKeySums()) FindRangeStarts(row);
  }
  return -1;
}

int64_t Backward::CheckKeys(const Executor& executor) {
  const int64_t rows = call_.RowCount();
  const int64_t n_tasks = (rows + kCheckedRows - 1) / kCheckedRows;
  ParallelForEach(executor, n_tasks, [&](int64_t index, int /*worker*/) {
    invalid_rows_[index] = CheckRows(index * kCheckedRows, std::min(rows, (index + 1) * kCheckedRows));
  });
  const int64_t* invalid = std::find_if(invalid_rows_, invalid_rows_ + n_tasks, [](int64_t row) { return row >= 0; });
  return invalid == invalid_rows_ + n_tasks ? -1 : *invalid;
}

// Returns the row's share of d_scale.
double Backward::ComputeRow(const RowId& row, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const int64_t number = call_.RowNumber(row);
  const int64_t begin = selection_.row_offsets[number];
  const std::span<const KeyIndex> keys = KeysOfRow(selection_, number);
  const auto count = static_cast<int64_t>(keys.size());
  const int64_t padded = (count + kBlockKeys - 1) / kBlockKeys * kBlockKeys;
  const int64_t head_kv = row.head / call_.group;
  const TensorView head_keys = call_.KeysOf(row.batch, head_kv);

  std::fill(std::copy_n(selection_.weights.data() + begin, count, worker.weights), worker.weights + padded, 0.0F);
  std::copy_n(DOutOf(row), in.d_v, worker.d_out);
  ScoreKeys(worker.d_out, call_.ValuesOf(row.batch, head_kv), in.d_v, keys, worker.gradients);
  // What a weight's gradient is multiplied by is what the weight was multiplied by.
  if (in.dropout_p > 0) DropWeights(DropoutRow::Of(in, number), keys, worker.gradients);
  std::fill(worker.gradients + count, worker.gradients + padded, 0.0F);
  ScoreGradients(in.activation, worker.weights, padded, worker.gradients);
  if (gradients_.d_scores != nullptr) std::copy_n(worker.gradients, count, gradients_.d_scores + begin);

  if (HasSoftcap()) {
    call_.ScaleQuery(row, worker.query);
    ScoreKeys(worker.query, head_keys, in.d_k, keys, worker.capped);
    std::fill(worker.capped + count, worker.capped + padded, 0.0F);
    for (int64_t block = 0; block < padded; block += kBlockKeys) Softcap(in.softcap, worker.capped + block);
    SoftcapGradients(in.softcap, worker.capped, padded, worker.gradients);
  }
  if (input_gradients_ != nullptr && input_gradients_ != gradients_.d_scores) {
    std::copy_n(worker.gradients, count, input_gradients_ + begin);
  }

  if (gradients_.d_q.data == nullptr && gradients_.d_scale == nullptr) return 0.0;
  WeightedSum(keys, worker.gradients, head_keys, in.d_k, worker.query);
  if (gradients_.d_q.data != nullptr) {
    const auto scale = static_cast<float>(call_.rule.scale);
    std::transform(worker.query, worker.query + in.d_k, gradients_.d_q.Row(row.batch, row.query, row.head),
                   [scale](float x) { return x * scale; });
  }
  if (gradients_.d_scale == nullptr) return 0.0;
  // The sum over the row's keys of d_x q.k.
  return std::inner_product(worker.query, worker.query + in.d_k, call_.QueryOf(row), 0.0, std::plus<>(),
                            [](float a, float b) { return static_cast<double>(a) * static_cast<double>(b); });
}

void Backward::ComputeTile(int64_t index, const Worker& worker) const {
  const Tile tile = call_.TileAt(index);
  std::fill_n(worker.d_out, PadToLanes(call_.input.d_v), 0.0F);
  double scale_sum = 0.0;
  for (int64_t r = 0; r < tile.n_rows; ++r) scale_sum += ComputeRow(call_.RowOf(tile, r), worker);
  scale_sums_[index] = scale_sum;
}

// A row's terms of the sums of one key range.
void Backward::AddRow(const RowId& row, int64_t range, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const int64_t number = call_.RowNumber(row);
  const uint32_t* starts = RangeStartsOf(number);
  if (starts[range] == starts[range + 1]) return;
  const int64_t begin = selection_.row_offsets[number] + starts[range];
  const auto keys = selection_.keys.subspan(static_cast<size_t>(begin), starts[range + 1] - starts[range]);
  KeySums sums = {worker.sums, static_cast<KeyIndex>(range << ranges_.shift), sum_stride_};
  if (gradients_.d_k.data != nullptr) {
    AddToKeys(keys, input_gradients_ + begin, call_.QueryOf(row), in.d_k, sums);
    sums.sums += PadToLanes(in.d_k);
  }
  if (gradients_.d_v.data == nullptr) return;
  const float* weights = selection_.weights.data() + begin;
  if (in.dropout_p > 0) {
    std::copy_n(weights, keys.size(), worker.weights);
    DropWeights(DropoutRow::Of(in, number), keys, worker.weights);
    weights = worker.weights;
  }
  AddToKeys(keys, weights, DOutOf(row), in.d_v, sums);
}

void Backward::ComputeKeyRange(int64_t index, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const int64_t range = index % ranges_.count;
  const int64_t head_kv = index / ranges_.count % in.n_head_kv;
  const int64_t batch = index / ranges_.count / in.n_head_kv;
  const int64_t first_key = range << ranges_.shift;
  const int64_t n_keys = std::min(ranges_.keys(), in.n_key - first_key);
  std::fill_n(worker.sums, n_keys * sum_stride_, 0.0F);
  for (int64_t query = 0; query < in.n_query; ++query) {
    for (int64_t head = head_kv * call_.group; head < (head_kv + 1) * call_.group; ++head) {
      AddRow({batch, query, head}, range, worker);
    }
  }
  const auto scale = static_cast<float>(call_.rule.scale);
  for (int64_t j = 0; j < n_keys; ++j) {
    const float* sum = worker.sums + j * sum_stride_;
    if (gradients_.d_k.data != nullptr) {
      std::transform(sum, sum + in.d_k, gradients_.d_k.Row(batch, first_key + j, head_kv),
                     [scale](float x) { return x * scale; });
      sum += PadToLanes(in.d_k);
    }
    if (gradients_.d_v.data != nullptr) std::copy_n(sum, in.d_v, gradients_.d_v.Row(batch, first_key + j, head_kv));
  }
}

void Backward::Run(const Executor& executor) {
  const AttentionInput& in = call_.input;
  const int64_t n_tiles = WantsScoreGradients() ? call_.TileCount() : 0;
  // Later rows see more keys under a causal mask, and early keys are seen by more rows: the long tasks go first.
  ParallelForEach(executor, n_tiles,
                  [&](int64_t index, int worker) { ComputeTile(n_tiles - 1 - index, workers_[worker]); });
  if (gradients_.d_scale != nullptr) *gradients_.d_scale = std::accumulate(scale_sums_, scale_sums_ + n_tiles, 0.0);
  if (!WantsKeySums()) return;
  ParallelForEach(executor, in.n_batch * in.n_head_kv * ranges_.count,
                  [&](int64_t index, int worker) { ComputeKeyRange(index, workers_[worker]); });
}

}  // namespace

Status AttentionBackward(const AttentionInput& input, const TopKOptions& options, const SelectionView& selection,
                         const TensorView& d_out, const AttentionGradients& gradients, const Executor& executor) {
  if (Status s = ValidateBackward(input, options, selection, d_out, gradients); !s.ok()) return s;
  if (Status s = ValidateExecutor(executor); !s.ok()) return s;
  const AttentionOutput none;
  const Call call(input, options, none);
  Carver size(nullptr);
  Backward(size, call, selection, d_out, gradients, executor.n_workers);
  Arena arena;
  if (!arena.Allocate(size.used())) return OutOfMemory("bytes of scratch", static_cast<int64_t>(size.used()));
  Carver carver(arena.base());
  Backward backward(carver, call, selection, d_out, gradients, executor.n_workers);
  if (const int64_t row = backward.CheckKeys(executor); row >= 0) return InvalidKeys(selection, row, input.n_key);
  backward.Run(executor);
  return {};
}

int64_t BackwardScratchBytes(const AttentionInput& input, const SelectionView& selection,
                             const AttentionGradients& gradients, int n_workers) {
  const AttentionOutput none;
  const TopKOptions options;
  const TensorView d_out;
  const Call call(input, options, none);
  Carver size(nullptr);
  Backward(size, call, selection, d_out, gradients, n_workers);
  return static_cast<int64_t>(size.used());
}

}  // namespace topk
