// The backward pass: check the keys; then, for a few KV heads at a time, bring what they read close together, compute
// range by range of the keys what flows to weights, row by row what flows to scores and queries, and again range by
// range what flows to keys and values.
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
// Sums of a key range: the L1 cache, beside the rows that stream by.
constexpr int64_t kRangeBytes = int64_t{32} << 10;
// A row enters a range at a cost of about four of its entries: ranges get wider until that many fall into each on
// average, but no wider than this.
constexpr int64_t kLeastEntriesPerRange = 8;
constexpr int64_t kMostRangeBytes = int64_t{256} << 10;

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

// Whether the rows of each head are PaddedRows already.
bool LieAsWanted(const TensorView& rows, int64_t d) {
  constexpr auto kAlignment = static_cast<int64_t>(kCacheLineBytes);
  return rows.type == DataType::kF32 && d == PadToLanes(d) && rows.token_stride == RowBytes(DataType::kF32, d) &&
         rows.head_stride % kAlignment == 0 && rows.batch_stride % kAlignment == 0 &&
         reinterpret_cast<uintptr_t>(rows.data) % kCacheLineBytes == 0;
}

// What the sizes of scratch follow from.
struct Extent {
  int64_t longest_row = 0;
  int64_t most_entries = 0;  // of a KV head, rows padded to whole vectors

  static Extent Of(const Call& call, const SelectionView& selection) {
    Extent extent;
    const int64_t n_rows = call.RowsPerHeadKv();
    for (int64_t h = 0; h < call.input.n_batch * call.input.n_head_kv; ++h) {
      const Tile head = {h / call.input.n_head_kv, h % call.input.n_head_kv, 0, n_rows};
      int64_t entries = 0;
      for (int64_t r = 0; r < n_rows; ++r) {
        const int64_t number = call.RowNumber(call.RowOf(head, r));
        const int64_t count = selection.row_offsets[number + 1] - selection.row_offsets[number];
        entries += PadToLanes(count);
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
  // Memory for rows of a head that do not lie as they are wanted, null if they do.
  struct Copies {
    float* keys = nullptr;     // [n_key, to whole blocks][d_k_]
    float* values = nullptr;   // [n_key, to whole blocks][d_v_]
    float* queries = nullptr;  // [rows_][d_k_]
    float* d_out = nullptr;    // [rows_][d_v_]
  };
  // A KV head at hand: all that is read at random lies close together, in f32, rows padded to whole vectors.
  struct Head {
    int64_t batch = 0;
    int64_t head_kv = 0;
    Copies copies;
    PaddedRows keys{}, values{}, queries{}, d_out{};
    int64_t* begins;         // [rows_]: where a row begins in the selection
    int64_t* firsts;         // [rows_]: and in the next two
    float* gradients;        // [entries_]: of weights, then of scores, then of scores before the soft-cap
    float* dropped_weights;  // [entries_]: with dropout
    uint32_t* range_starts;  // [rows_][ranges_.count + 1]: which of the row's entries is the first in each key range
  };
  // Per thread: one row at a time, or the sums of one key range.
  struct Worker {
    float* weights;  // [longest row, to whole blocks]
    float* capped;   // [the same + kMaxLanes]: scores, under a soft-cap
    float* query;    // [d_k_]: scaled; then the row's sum of keys
    float* sums;     // [ranges_.keys()][sum_stride_]
  };

  bool WantsKeySums() const { return gradients_.d_k.data != nullptr || gradients_.d_v.data != nullptr; }
  bool WantsScoreGradients() const {
    return gradients_.d_q.data != nullptr || gradients_.d_k.data != nullptr || gradients_.d_scores != nullptr ||
           gradients_.d_scale != nullptr;
  }
  bool HasSoftcap() const { return call_.input.softcap > 0; }
  bool HasDropout() const { return call_.input.dropout_p > 0; }
  RowId RowOf(const Head& head, int64_t row) const { return call_.RowOf({head.batch, head.head_kv, 0, rows_}, row); }
  uint32_t* RangeStartsOf(const Head& head, int64_t row) const { return head.range_starts + row * (ranges_.count + 1); }
  RangeEntries EntriesOf(const Head& head, int64_t range) const {
    return {.n_rows = rows_,
            .keys = selection_.keys.data(),
            .begins = head.begins,
            .firsts = head.firsts,
            .starts = head.range_starts + range,
            .start_stride = ranges_.count + 1,
            .first_key = static_cast<KeyIndex>(range << ranges_.shift)};
  }
  bool CopiesRows(const TensorView& rows, int64_t d) const { return call_.group > 1 || !LieAsWanted(rows, d); }

  void Start(Head& head, int64_t index) const;
  void RunHeads(int64_t first, int64_t last, const Executor& executor);
  void BringPart(const Head& head, int64_t part) const;
  void FindEntries(const Head& head) const;
  void FindRangeStarts(const Head& head, int64_t row) const;
  double ComputeRow(const Head& head, int64_t row, const Worker& worker) const;
  void ComputeKeyRange(const Head& head, int64_t range, const Worker& worker) const;

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
  const int64_t bytes_per_key = std::max(sum_stride_, d_v_) * static_cast<int64_t>(sizeof(float));
  ranges_ = KeyRanges::Of(call.input.n_key, call.RowCount(), entries, bytes_per_key);
  const int64_t tasks_per_head = std::max<int64_t>(1, std::min(call.TilesPerHeadKv(), ranges_.count));
  n_heads_ = std::min(call.input.n_batch * call.input.n_head_kv,
                      (kTasksPerWorker * n_workers + tasks_per_head - 1) / tasks_per_head);

  invalid_rows_ = carver.Take<int64_t>((call.RowCount() + kRowsPerTask - 1) / kRowsPerTask);
  scale_sums_ = carver.Take<double>(call.TileCount());
  heads_ = carver.Take<Head>(n_heads_);
  const int64_t padded_keys = PadToBlocks(call.input.n_key);
  const auto copy_of = [&](bool is_needed, int64_t rows, int64_t d) {
    return is_needed ? carver.Take<float>(rows * d) : nullptr;
  };
  for (int64_t h = 0; h < n_heads_; ++h) {
    const Copies copies = {.keys = copy_of(!LieAsWanted(call.input.k, call.input.d_k), padded_keys, d_k_),
                           .values = copy_of(!LieAsWanted(call.input.v, call.input.d_v), padded_keys, d_v_),
                           .queries = copy_of(CopiesRows(call.input.q, call.input.d_k), rows_, d_k_),
                           .d_out = copy_of(CopiesRows(d_out, call.input.d_v), rows_, d_v_)};
    const Head head = {.copies = copies,
                       .begins = carver.Take<int64_t>(rows_),
                       .firsts = carver.Take<int64_t>(rows_),
                       .gradients = carver.Take<float>(extent.most_entries),
                       .dropped_weights = carver.Take<float>(HasDropout() ? extent.most_entries : 0),
                       .range_starts = carver.Take<uint32_t>(rows_ * (ranges_.count + 1))};
    if (heads_ != nullptr) std::construct_at(heads_ + h, head);
  }
  workers_ = carver.Take<Worker>(n_workers);
  const int64_t padded_row = PadToBlocks(extent.longest_row);
  for (int w = 0; w < n_workers; ++w) {
    const Worker worker = {.weights = carver.Take<float>(padded_row + kMaxLanes),
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

// Which head it is, and where its rows are read from.
void Backward::Start(Head& head, int64_t index) const {
  const AttentionInput& in = call_.input;
  head.batch = index / in.n_head_kv;
  head.head_kv = index % in.n_head_kv;
  const auto rows_at = [](const float* copy, const uint8_t* original, int64_t d) {
    return PaddedRows{copy != nullptr ? copy : reinterpret_cast<const float*>(original), d};
  };
  const int64_t first_head = head.head_kv * call_.group;
  head.keys = rows_at(head.copies.keys, in.k.Row(head.batch, 0, head.head_kv), d_k_);
  head.values = rows_at(head.copies.values, in.v.Row(head.batch, 0, head.head_kv), d_v_);
  head.queries = rows_at(head.copies.queries, in.q.Row(head.batch, 0, first_head), d_k_);
  head.d_out = rows_at(head.copies.d_out, d_out_.Row(head.batch, 0, first_head), d_v_);
}

void Backward::FindEntries(const Head& head) const {
  int64_t entries = 0;
  for (int64_t r = 0; r < rows_; ++r) {
    const int64_t number = call_.RowNumber(RowOf(head, r));
    head.begins[r] = selection_.row_offsets[number];
    head.firsts[r] = entries;
    entries += PadToLanes(selection_.row_offsets[number + 1] - head.begins[r]);
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
  const auto pack = [&](const TensorView& from, int64_t d, float* to) {
    if (to == nullptr || rows_ == 0) return;
    for (int64_t j = first; j < std::min(in.n_key, first + kRowsPerTask); j += kBlockKeys) {
      PackValues(from, j, std::min(kBlockKeys, in.n_key - j), d, to + j * PadToLanes(d));
    }
  };
  pack(call_.KeysOf(head.batch, head.head_kv), in.d_k, head.copies.keys);
  pack(call_.ValuesOf(head.batch, head.head_kv), in.d_v, head.copies.values);
  const auto copy = [&](const TensorView& from, int64_t d, float* to) {
    if (to == nullptr) return;
    for (int64_t r = first; r < std::min(rows_, first + kRowsPerTask); ++r) {
      const RowId row = RowOf(head, r);
      float* at = to + r * PadToLanes(d);
      const auto* numbers = reinterpret_cast<const float*>(from.Row(row.batch, row.query, row.head));
      std::fill(std::copy_n(numbers, d, at), at + PadToLanes(d), 0.0F);
    }
  };
  copy(in.q, in.d_k, head.copies.queries);
  copy(d_out_, in.d_v, head.copies.d_out);
  for (int64_t r = first; r < std::min(rows_, first + kRowsPerTask); ++r) FindRangeStarts(head, r);
}

// From the gradients of a row's weights to those of its scores and its query. Returns the row's share of d_scale.
double Backward::ComputeRow(const Head& head, int64_t row, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const RowId id = RowOf(head, row);
  const int64_t number = call_.RowNumber(id);
  const int64_t begin = head.begins[row];
  const std::span<const KeyIndex> keys = KeysOfRow(selection_, number);
  const auto count = static_cast<int64_t>(keys.size());
  const int64_t padded = PadToLanes(count);
  float* gradients = head.gradients + head.firsts[row];
  if (row + 1 < rows_) {
    const int64_t next_count = head.firsts[row + 1] - head.firsts[row];
    Fetch(selection_.keys.data() + head.begins[row + 1], next_count);
    Fetch(selection_.weights.data() + head.begins[row + 1], next_count);
  }
  const float* weights = selection_.weights.data() + begin;
  if (HasDropout()) {
    // What a weight's gradient is multiplied by is what the weight is multiplied by.
    const DropoutRow dropout = DropoutRow::Of(in, number);
    if (WantsScoreGradients()) DropWeights(dropout, keys, gradients);
    float* dropped = head.dropped_weights + head.firsts[row];
    std::copy_n(weights, count, dropped);
    DropWeights(dropout, keys, dropped);
  }
  if (!WantsScoreGradients()) return 0.0;
  std::fill(std::copy_n(weights, count, worker.weights), worker.weights + padded, 0.0F);
  std::fill(gradients + count, gradients + padded, 0.0F);
  ScoreGradients(in.activation, worker.weights, padded, gradients);
  if (gradients_.d_scores != nullptr) std::copy_n(gradients, count, gradients_.d_scores + begin);

  const TensorView head_keys = {.data = head.keys.data, .token_stride = RowBytes(DataType::kF32, d_k_)};
  if (HasSoftcap()) {
    call_.ScaleQuery(id, worker.query);
    ScoreKeys(worker.query, head_keys, d_k_, keys, worker.capped);
    std::fill(worker.capped + count, worker.capped + PadToBlocks(count), 0.0F);
    for (int64_t block = 0; block < count; block += kBlockKeys) Softcap(in.softcap, worker.capped + block);
    SoftcapGradients(in.softcap, worker.capped, padded, gradients);
  }
  if (gradients_.d_q.data == nullptr && gradients_.d_scale == nullptr) return 0.0;
  WeightedSum(keys, gradients, head_keys, d_k_, worker.query);
  if (gradients_.d_q.data != nullptr) {
    const auto scale = static_cast<float>(call_.rule.scale);
    std::transform(worker.query, worker.query + in.d_k, gradients_.d_q.Row(id.batch, id.query, id.head),
                   [scale](float x) { return x * scale; });
  }
  if (gradients_.d_scale == nullptr) return 0.0;
  // The sum over the row's keys of d_x q.k.
  return std::inner_product(worker.query, worker.query + in.d_k, head.queries.Row(row), 0.0, std::plus<>(),
                            [](float a, float b) { return static_cast<double>(a) * static_cast<double>(b); });
}

void Backward::ComputeKeyRange(const Head& head, int64_t range, const Worker& worker) const {
  const AttentionInput& in = call_.input;
  const int64_t first_key = range << ranges_.shift;
  const int64_t n_keys = std::min(ranges_.keys(), in.n_key - first_key);
  std::fill_n(worker.sums, n_keys * sum_stride_, 0.0F);
  KeyTerms to_keys;
  KeyTerms to_values;
  if (gradients_.d_k.data != nullptr) {
    to_keys = {.x = head.queries, .factors = head.gradients, .begins = head.firsts};
  }
  if (gradients_.d_v.data != nullptr) {
    to_values = HasDropout() ? KeyTerms{.x = head.d_out, .factors = head.dropped_weights, .begins = head.firsts}
                             : KeyTerms{.x = head.d_out, .factors = selection_.weights.data(), .begins = head.begins};
  }
  AddToKeys(EntriesOf(head, range), to_keys, to_values, worker.sums);
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
  for (int64_t h = 0; h < n_heads; ++h) Start(heads_[h], first + h);
  ParallelForEach(executor, n_heads, [&](int64_t index, int /*worker*/) { FindEntries(heads_[index]); });
  const int64_t n_parts = (std::max(rows_, call_.input.n_key) + kRowsPerTask - 1) / kRowsPerTask;
  ParallelForEach(executor, n_heads * n_parts,
                  [&](int64_t index, int /*worker*/) { BringPart(heads_[index / n_parts], index % n_parts); });
  const auto for_ranges = [&](auto&& compute) {
    ParallelForEach(executor, n_heads * ranges_.count, [&](int64_t index, int worker) {
      // Under a causal mask early keys are seen by more rows: the long tasks go first.
      compute(heads_[index % n_heads], index / n_heads, workers_[worker]);
    });
  };
  if (WantsScoreGradients()) {
    for_ranges([&](const Head& head, int64_t range, const Worker& /*worker*/) {
      DotEntries(EntriesOf(head, range), head.d_out, head.values, head.gradients);
    });
  }
  const int64_t n_tiles = WantsScoreGradients() || HasDropout() ? call_.TilesPerHeadKv() : 0;
  ParallelForEach(executor, n_heads * n_tiles, [&](int64_t index, int worker) {
    // And later rows see more keys.
    const int64_t tile = n_tiles - 1 - index / n_heads;
    const int64_t end = std::min(rows_, (tile + 1) * kTileRows);
    double sum = 0.0;
    for (int64_t r = tile * kTileRows; r < end; ++r) sum += ComputeRow(heads_[index % n_heads], r, workers_[worker]);
    scale_sums_[(first + index % n_heads) * n_tiles + tile] = sum;
  });
  if (WantsKeySums()) {
    for_ranges([&](const Head& head, int64_t range, const Worker& worker) { ComputeKeyRange(head, range, worker); });
  }
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
