// The backward pass: check the keys; then, for a few KV heads at a time, bring what they read close together, compute
// row by row what flows to scores and queries, and range by range what flows to keys and values.
#include "topk/backward.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <type_traits>

#include "topk/attend/attend.h"
#include "topk/backward/arguments.h"
#include "topk/backward/gradients.h"
#include "topk/call.h"
#include "topk/carver.h"
#include "topk/dropout/dropout.h"
#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/scan/score_keys.h"
#include "topk/validate.h"

namespace topk {

namespace {

// Rows or keys that a task checks or brings; a multiple of kBlockKeys.
constexpr int64_t kRowsPerTask = 256;
// Tasks of a phase for each worker, at least, if there are so many: as many heads are computed at a time.
constexpr int64_t kTasksPerWorker = 4;
// Sums of a key range: a part of an L2 cache, beside the rows that stream by.
constexpr int64_t kRangeBytes = int64_t{256} << 10;
// A row enters a range at a cost of about four of its entries: ranges get wider until that many fall into each on
// average, but no wider than this.
constexpr int64_t kLeastEntriesPerRange = 4;
constexpr int64_t kMostRangeBytes = int64_t{4} << 20;
// What a key range takes from a row lies far from what it takes from the next one, where no processor looks for it by
// itself: it is fetched so many rows ahead.
constexpr int64_t kPrefetchRows = 4;

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

// Begins to load `count` numbers.
template <typename T>
void Fetch(const T* numbers, int64_t count) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(numbers);
  for (int64_t i = 0; i < count * static_cast<int64_t>(sizeof(T)); i += static_cast<int64_t>(kCacheLineBytes)) {
    __builtin_prefetch(bytes + i);
  }
}

// What the sizes of scratch follow from.
struct Extent {
  int64_t longest_row = 0;
  int64_t most_entries = 0;  // of a KV head

  static Extent Of(const Call& call, const SelectionView& selection) {
    Extent extent;
    const int64_t n_rows = call.RowsPerHeadKv();
    for (int64_t h = 0; h < call.input.n_batch * call.input.n_head_kv; ++h) {
      const Tile head = {h / call.input.n_head_kv, h % call.input.n_head_kv, 0, n_rows};
      int64_t entries = 0;
      for (int64_t r = 0; r < n_rows; ++r) {
        const int64_t number = call.RowNumber(call.RowOf(head, r));
        const int64_t count = selection.row_offsets[number + 1] - selection.row_offsets[number];
        entries += count;
        extent.longest_row = std::max(extent.longest_row, count);
      }
      extent.most_entries = std::max(extent.most_entries, entries);
    }
    return extent;
  }
};

// A few KV heads are computed at a time, so that what one phase leaves for the next is still in a cache, and scratch is
// that of a few heads.
class Backward {
 public:
  Backward(Carver& carver, const Call& call, const SelectionView& selection, const TensorView& d_out,
           const AttentionGradients& gradients, const Extent& extent, int n_workers);

  // The first row, in order, whose keys are not valid; -1 if all are.
  int64_t CheckKeys(const Executor& executor);
  void Run(const Executor& executor);

 private:
  // A KV head at hand: all that is read at random lies close together, in f32, rows padded to whole vectors.
  struct Head {
    int64_t batch = 0;
    int64_t head_kv = 0;
    float* keys;             // [n_key, to whole blocks][d_k_]
    float* values;           // [n_key, to whole blocks][d_v_]
    float* queries;          // [rows_][d_k_]
    float* d_out;            // [rows_][d_v_]
    int64_t* first_entries;  // [rows_]: where a row begins in input_gradients
    float* input_gradients;  // [entries]: of scores before the soft-cap
    uint32_t* range_starts;  // [rows_][ranges_.count + 1]: which of the row's entries is the first in each key range
  };
  // Per thread: one row at a time, or the sums of one key range.
  struct Worker {
    float* weights;    // [longest row, to whole blocks]
    float* gradients;  // [the same + kMaxLanes]: of weights, then of scores
    float* capped;     // [the same + kMaxLanes]: scores, under a soft-cap
    float* query;      // [d_k_]: scaled; then the row's sum of keys
    float* sums;       // [ranges_.keys()][sum_stride_]
  };

  bool WantsKeySums() const { return gradients_.d_k.data != nullptr || gradients_.d_v.data != nullptr; }
  bool WantsScoreGradients() const {
    return gradients_.d_q.data != nullptr || gradients_.d_k.data != nullptr || gradients_.d_scores != nullptr ||
           gradients_.d_scale != nullptr;
  }
  bool HasSoftcap() const { return call_.input.softcap > 0; }
  RowId RowOf(const Head& head, int64_t row) const { return call_.RowOf({head.batch, head.head_kv, 0, rows_}, row); }
  uint32_t* RangeStartsOf(const Head& head, int64_t row) const { return head.range_starts + row * (ranges_.count + 1); }

  void RunHeads(int64_t first, int64_t last, const Executor& executor);
  void BringPart(const Head& head, int64_t part) const;
  void FindFirstEntries(const Head& head) const;
  void FindRangeStarts(const Head& head, int64_t row) const;
  double ComputeRow(const Head& head, int64_t row, const Worker& worker) const;
  void ComputeKeyRange(const Head& head, int64_t range, const Worker& worker) const;
  void FetchRow(const Head& head, int64_t row, int64_t range) const;
  void AddRow(const Head& head, int64_t row, int64_t range, const Worker& worker) const;

  const Call& call_;
  const SelectionView& selection_;
  const TensorView& d_out_;
  const AttentionGradients& gradients_;
  int64_t rows_;  // of a KV head
  int64_t d_k_;   // padded, as is the next
  int64_t d_v_;
  int64_t sum_stride_ = 0;
  KeyRanges ranges_;
  int64_t n_heads_ = 0;    // at a time
  int64_t* invalid_rows_;  // [tasks]: CheckKeys'
  double* scale_sums_;     // [tiles]
  Head* heads_;
  Worker* workers_;
};

Backward::Backward(Carver& carver, const Call& call, const SelectionView& selection, const TensorView& d_out,
                   const AttentionGradients& gradients, const Extent& extent, int n_workers)
    : call_(call),
      selection_(selection),
      d_out_(d_out),
      gradients_(gradients),
      rows_(call.RowsPerHeadKv()),
      d_k_(PadToLanes(call.input.d_k)),
      d_v_(PadToLanes(call.input.d_v)) {
  const auto entries = static_cast<int64_t>(selection.keys.size());
  if (gradients.d_k.data != nullptr) sum_stride_ += d_k_;
  if (gradients.d_v.data != nullptr) sum_stride_ += d_v_;
  if (WantsKeySums()) {
    ranges_ =
        KeyRanges::Of(call.input.n_key, call.RowCount(), entries, sum_stride_ * static_cast<int64_t>(sizeof(float)));
  }
  const int64_t tasks_per_head = std::max<int64_t>(1, std::min(call.TilesPerHeadKv(), ranges_.count));
  n_heads_ = std::min(call.input.n_batch * call.input.n_head_kv,
                      (kTasksPerWorker * n_workers + tasks_per_head - 1) / tasks_per_head);

  invalid_rows_ = carver.Take<int64_t>((call.RowCount() + kRowsPerTask - 1) / kRowsPerTask);
  scale_sums_ = carver.Take<double>(call.TileCount());
  heads_ = carver.Take<Head>(n_heads_);
  const int64_t padded_keys = PadToBlocks(call.input.n_key);
  for (int64_t h = 0; h < n_heads_; ++h) {
    const Head head = {.keys = carver.Take<float>(padded_keys * d_k_),
                       .values = carver.Take<float>(padded_keys * d_v_),
                       .queries = carver.Take<float>(rows_ * d_k_),
                       .d_out = carver.Take<float>(rows_ * d_v_),
                       .first_entries = carver.Take<int64_t>(rows_),
                       .input_gradients = carver.Take<float>(extent.most_entries),
                       .range_starts = carver.Take<uint32_t>(rows_ * (ranges_.count + 1))};
    if (heads_ != nullptr) std::construct_at(heads_ + h, head);
  }
  workers_ = carver.Take<Worker>(n_workers);
  const int64_t padded_row = PadToBlocks(extent.longest_row);
  for (int w = 0; w < n_workers; ++w) {
    const Worker worker = {.weights = carver.Take<float>(padded_row),
                           .gradients = carver.Take<float>(padded_row + kMaxLanes),
                           .capped = carver.Take<float>(HasSoftcap() ? padded_row + kMaxLanes : 0),
                           .query = carver.Take<float>(d_k_),
                           .sums = carver.Take<float>(ranges_.keys() * sum_stride_)};
    if (workers_ != nullptr) std::construct_at(workers_ + w, worker);
  }
}

int64_t Backward::CheckKeys(const Executor& executor) {
  const int64_t rows = call_.RowCount();
  const int64_t n_tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  ParallelForEach(executor, n_tasks, [&](int64_t index, int /*worker*/) {
    const int64_t last = std::min(rows, (index + 1) * kRowsPerTask);
    int64_t row = index * kRowsPerTask;
    while (row < last && AreKeysValid(KeysOfRow(selection_, row), call_.input.n_key)) ++row;
    invalid_rows_[index] = row < last ? row : -1;
  });
  const int64_t* invalid = std::find_if(invalid_rows_, invalid_rows_ + n_tasks, [](int64_t row) { return row >= 0; });
  return invalid == invalid_rows_ + n_tasks ? -1 : *invalid;
}

void Backward::FindFirstEntries(const Head& head) const {
  int64_t entries = 0;
  for (int64_t r = 0; r < rows_; ++r) {
    head.first_entries[r] = entries;
    entries += static_cast<int64_t>(KeysOfRow(selection_, call_.RowNumber(RowOf(head, r))).size());
  }
}

void Backward::FindRangeStarts(const Head& head, int64_t row) const {
  uint32_t* starts = RangeStartsOf(head, row);
  std::fill_n(starts, ranges_.count + 1, 0U);
  uint32_t n = 0;
  for (const KeyIndex key : KeysOfRow(selection_, call_.RowNumber(RowOf(head, row)))) {
    starts[(key >> ranges_.shift) + 1] = ++n;
  }
  for (int64_t r = 0; r < ranges_.count; ++r) starts[r + 1] = std::max(starts[r], starts[r + 1]);
}

// Keys and rows [part * kRowsPerTask, (part + 1) * kRowsPerTask) of a head, to where they are used.
void Backward::BringPart(const Head& head, int64_t part) const {
  const AttentionInput& in = call_.input;
  const int64_t first = part * kRowsPerTask;
  const TensorView keys = call_.KeysOf(head.batch, head.head_kv);
  const TensorView values = call_.ValuesOf(head.batch, head.head_kv);
  for (int64_t j = first; j < std::min(in.n_key, first + kRowsPerTask) && rows_ > 0; j += kBlockKeys) {
    const int64_t count = std::min(kBlockKeys, in.n_key - j);
    PackValues(keys, j, count, in.d_k, head.keys + j * d_k_);
    PackValues(values, j, count, in.d_v, head.values + j * d_v_);
  }
  const auto copy = [](const void* from, int64_t d, float* to, int64_t padded) {
    std::fill(std::copy_n(static_cast<const float*>(from), d, to), to + padded, 0.0F);
  };
  for (int64_t r = first; r < std::min(rows_, first + kRowsPerTask); ++r) {
    const RowId row = RowOf(head, r);
    copy(call_.QueryOf(row), in.d_k, head.queries + r * d_k_, d_k_);
    copy(d_out_.Row(row.batch, row.query, row.head), in.d_v, head.d_out + r * d_v_, d_v_);
    if (WantsKeySums()) FindRangeStarts(head, r);
  }
}

// Returns the row's share of d_scale.
double Backward::ComputeRow(const Head& head, int64_t row, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const RowId id = RowOf(head, row);
  const int64_t number = call_.RowNumber(id);
  const int64_t begin = selection_.row_offsets[number];
  const std::span<const KeyIndex> keys = KeysOfRow(selection_, number);
  const auto count = static_cast<int64_t>(keys.size());
  const int64_t padded = PadToBlocks(count);
  if (row + 1 < rows_) {
    const int64_t next = call_.RowNumber(RowOf(head, row + 1));
    const int64_t next_begin = selection_.row_offsets[next];
    const int64_t next_count = selection_.row_offsets[next + 1] - next_begin;
    Fetch(selection_.keys.data() + next_begin, next_count);
    Fetch(selection_.weights.data() + next_begin, next_count);
  }
  const TensorView head_keys = {.data = head.keys, .token_stride = RowBytes(DataType::kF32, d_k_)};
  const TensorView head_values = {.data = head.values, .token_stride = RowBytes(DataType::kF32, d_v_)};

  std::fill(std::copy_n(selection_.weights.data() + begin, count, worker.weights), worker.weights + padded, 0.0F);
  ScoreKeys(head.d_out + row * d_v_, head_values, d_v_, keys, worker.gradients);
  // What a weight's gradient is multiplied by is what the weight was multiplied by.
  if (in.dropout_p > 0) DropWeights(DropoutRow::Of(in, number), keys, worker.gradients);
  std::fill(worker.gradients + count, worker.gradients + padded, 0.0F);
  ScoreGradients(in.activation, worker.weights, padded, worker.gradients);
  if (gradients_.d_scores != nullptr) std::copy_n(worker.gradients, count, gradients_.d_scores + begin);

  if (HasSoftcap()) {
    call_.ScaleQuery(id, worker.query);
    ScoreKeys(worker.query, head_keys, d_k_, keys, worker.capped);
    std::fill(worker.capped + count, worker.capped + padded, 0.0F);
    for (int64_t block = 0; block < padded; block += kBlockKeys) Softcap(in.softcap, worker.capped + block);
    SoftcapGradients(in.softcap, worker.capped, padded, worker.gradients);
  }
  if (gradients_.d_k.data != nullptr) {
    std::copy_n(worker.gradients, count, head.input_gradients + head.first_entries[row]);
  }

  if (gradients_.d_q.data == nullptr && gradients_.d_scale == nullptr) return 0.0;
  WeightedSum(keys, worker.gradients, head_keys, d_k_, worker.query);
  if (gradients_.d_q.data != nullptr) {
    const auto scale = static_cast<float>(call_.rule.scale);
    std::transform(worker.query, worker.query + in.d_k, gradients_.d_q.Row(id.batch, id.query, id.head),
                   [scale](float x) { return x * scale; });
  }
  if (gradients_.d_scale == nullptr) return 0.0;
  // The sum over the row's keys of d_x q.k.
  return std::inner_product(worker.query, worker.query + in.d_k, head.queries + row * d_k_, 0.0, std::plus<>(),
                            [](float a, float b) { return static_cast<double>(a) * static_cast<double>(b); });
}

// Begins to load what AddRow will read.
void Backward::FetchRow(const Head& head, int64_t row, int64_t range) const {
  const uint32_t* starts = RangeStartsOf(head, row);
  const int64_t count = starts[range + 1] - starts[range];
  const int64_t begin = selection_.row_offsets[call_.RowNumber(RowOf(head, row))] + starts[range];
  Fetch(selection_.keys.data() + begin, count);
  Fetch(selection_.weights.data() + begin, count);
  Fetch(head.input_gradients + head.first_entries[row] + starts[range], count);
}

// A row's terms of the sums of one key range.
void Backward::AddRow(const Head& head, int64_t row, int64_t range, const Worker& worker) const {
  const uint32_t* starts = RangeStartsOf(head, row);
  if (starts[range] == starts[range + 1]) return;
  const int64_t number = call_.RowNumber(RowOf(head, row));
  const int64_t begin = selection_.row_offsets[number] + starts[range];
  const auto keys = selection_.keys.subspan(static_cast<size_t>(begin), starts[range + 1] - starts[range]);
  KeySums sums = {worker.sums, static_cast<KeyIndex>(range << ranges_.shift), sum_stride_};
  if (gradients_.d_k.data != nullptr) {
    AddToKeys(keys, head.input_gradients + head.first_entries[row] + starts[range], head.queries + row * d_k_, d_k_,
              sums);
    sums.sums += d_k_;
  }
  if (gradients_.d_v.data == nullptr) return;
  const float* weights = selection_.weights.data() + begin;
  if (call_.input.dropout_p > 0) {
    std::copy_n(weights, keys.size(), worker.weights);
    DropWeights(DropoutRow::Of(call_.input, number), keys, worker.weights);
    weights = worker.weights;
  }
  AddToKeys(keys, weights, head.d_out + row * d_v_, d_v_, sums);
}

void Backward::ComputeKeyRange(const Head& head, int64_t range, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const int64_t first_key = range << ranges_.shift;
  const int64_t n_keys = std::min(ranges_.keys(), in.n_key - first_key);
  std::fill_n(worker.sums, n_keys * sum_stride_, 0.0F);
  for (int64_t r = 0; r < rows_; ++r) {
    if (r + kPrefetchRows < rows_) FetchRow(head, r + kPrefetchRows, range);
    AddRow(head, r, range, worker);
  }
  const auto scale = static_cast<float>(call_.rule.scale);
  for (int64_t j = 0; j < n_keys; ++j) {
    const float* sum = worker.sums + j * sum_stride_;
    if (gradients_.d_k.data != nullptr) {
      std::transform(sum, sum + in.d_k, gradients_.d_k.Row(head.batch, first_key + j, head.head_kv),
                     [scale](float x) { return x * scale; });
      sum += d_k_;
    }
    if (gradients_.d_v.data != nullptr) {
      std::copy_n(sum, in.d_v, gradients_.d_v.Row(head.batch, first_key + j, head.head_kv));
    }
  }
}

void Backward::RunHeads(int64_t first, int64_t last, const Executor& executor) {
  const int64_t n_heads = last - first;
  for (int64_t h = 0; h < n_heads; ++h) {
    heads_[h].batch = (first + h) / call_.input.n_head_kv;
    heads_[h].head_kv = (first + h) % call_.input.n_head_kv;
  }
  const int64_t n_parts = (std::max(rows_, call_.input.n_key) + kRowsPerTask - 1) / kRowsPerTask;
  ParallelForEach(executor, n_heads * n_parts, [&](int64_t index, int /*worker*/) {
    const Head& head = heads_[index / n_parts];
    BringPart(head, index % n_parts);
    if (index % n_parts == 0) FindFirstEntries(head);
  });
  const int64_t n_tiles = WantsScoreGradients() ? call_.TilesPerHeadKv() : 0;
  ParallelForEach(executor, n_heads * n_tiles, [&](int64_t index, int worker) {
    // Later rows see more keys under a causal mask: the long tasks go first.
    const int64_t tile = n_tiles - 1 - index / n_heads;
    const int64_t end = std::min(rows_, (tile + 1) * kTileRows);
    double sum = 0.0;
    for (int64_t r = tile * kTileRows; r < end; ++r) sum += ComputeRow(heads_[index % n_heads], r, workers_[worker]);
    scale_sums_[(first + index % n_heads) * n_tiles + tile] = sum;
  });
  const int64_t n_ranges = WantsKeySums() ? ranges_.count : 0;
  ParallelForEach(executor, n_heads * n_ranges, [&](int64_t index, int worker) {
    // And early keys are seen by more rows.
    ComputeKeyRange(heads_[index % n_heads], index / n_heads, workers_[worker]);
  });
}

void Backward::Run(const Executor& executor) {
  const int64_t n_heads = call_.input.n_batch * call_.input.n_head_kv;
  for (int64_t first = 0; first < n_heads; first += n_heads_) {
    RunHeads(first, std::min(n_heads, first + n_heads_), executor);
  }
  if (gradients_.d_scale != nullptr) {
    *gradients_.d_scale = std::accumulate(scale_sums_, scale_sums_ + call_.TileCount(), 0.0);
  }
}

}  // namespace

Status AttentionBackward(const AttentionInput& input, const TopKOptions& options, const SelectionView& selection,
                         const TensorView& d_out, const AttentionGradients& gradients, const Executor& executor) {
  if (Status s = ValidateBackward(input, options, selection, d_out, gradients); !s.ok()) return s;
  if (Status s = ValidateExecutor(executor); !s.ok()) return s;
  const AttentionOutput none;
  const Call call(input, options, none);
  const Extent extent = Extent::Of(call, selection);
  Carver size(nullptr);
  Backward(size, call, selection, d_out, gradients, extent, executor.n_workers);
  ScratchMemory own;
  ScratchMemory& memory = executor.scratch != nullptr ? *executor.scratch : own;
  if (!memory.Reserve(size.used())) return OutOfMemory("bytes of scratch", static_cast<int64_t>(size.used()));
  Carver carver(memory.data());
  Backward backward(carver, call, selection, d_out, gradients, extent, executor.n_workers);
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
  Backward(size, call, selection, d_out, gradients, Extent::Of(call, selection), n_workers);
  return static_cast<int64_t>(size.used());
}

}  // namespace topk
