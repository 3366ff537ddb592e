// One call of Attention: its arguments and all that follows from them once, before the tiles are computed.
#ifndef TOPK_SRC_CALL_H_
#define TOPK_SRC_CALL_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "topk/attention.h"
#include "topk/numeric.h"
#include "topk/visibility/visibility.h"

namespace topk {

// Rows (a query of a head) that are computed together against each block of keys. Packing a block costs as much as
// multiplying it with a few rows, so a tile has many; their candidates should stay in the L2 cache.
inline constexpr int64_t kTileRows = 96;

// An int8 scan leaves at most one key in so many to be scored in f32; if it left more, scoring all would be faster.
inline constexpr int64_t kLeastKeysPerSurvivor = 4;
// And it needs so many keys for each that is kept to gain from ruling keys out.
inline constexpr int64_t kLeastKeysForInt8 = 5;

// A row gathers its visible keys if they are at most one in so many between the first and the last: a key that is
// read on its own costs as much as so many in a scan, about. All queries of a call share what a scan spends on reading
// K and on packing it, while each gathers its own keys. So that is `many` for many queries, and fewer for few: for one,
// one key in two pays. topk_gather_bench measures it.
struct GatherLimit {
  double many;    // queries
  double shared;  // cost of a key of a scan that is shared, in that of its share for each query

  double KeysPerGathered(int64_t n_query) const {
    const auto n = static_cast<double>(n_query);
    return many * n / (n + shared);
  }
};
inline constexpr GatherLimit kGatherOrScanF32 = {.many = 3, .shared = 0.5};
inline constexpr GatherLimit kGatherOrScanInt8 = {.many = 9, .shared = 3.5};

// One row: a query of a query head. Rows of a tile share the KV head.
struct RowId {
  int64_t batch;
  int64_t query;
  int64_t head;
};

// Rows [first_row, first_row + n_rows) of a KV head, numbered query by query, head by head.
struct Tile {
  int64_t batch;
  int64_t head_kv;
  int64_t first_row;
  int64_t n_rows;
};

// Where the selections of all rows go while tasks run in any order; null arrays if nobody asked.
struct SelectionStaging {
  KeyIndex* keys = nullptr;
  float* weights = nullptr;
  const int64_t* offsets = nullptr;  // [rows]: where a row begins in both
  int64_t* counts = nullptr;         // [rows]: keys of each row, where they don't fill the space up to the next one
};

class Call {
 public:
  Call(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output)
      : input(input),
        options(options),
        output(output),
        rule(ScoreRule::Of(input, options)),
        group(input.n_head / input.n_head_kv),
        keys_(input.k),
        values_(input.v) {}

  const AttentionInput& input;
  const TopKOptions& options;
  const AttentionOutput& output;
  ScoreRule rule;
  int64_t group;  // query heads of a KV head
  SelectionStaging staging;

  int64_t RowsPerHeadKv() const { return input.n_query * group; }
  int64_t TilesPerHeadKv() const { return (RowsPerHeadKv() + kTileRows - 1) / kTileRows; }
  int64_t TileCount() const { return input.n_batch * input.n_head_kv * TilesPerHeadKv(); }
  Tile TileAt(int64_t index) const;

  RowId RowOf(const Tile& tile, int64_t row) const {
    const int64_t r = tile.first_row + row;
    return {tile.batch, r / group, tile.head_kv * group + r % group};
  }
  // Number of a row among those of its KV head: RowOf's inverse.
  int64_t RowInHeadKv(const RowId& row) const { return row.query * group + row.head % group; }
  // Number of a row in the order of outputs: [batch, query, head].
  int64_t RowNumber(const RowId& row) const {
    return (row.batch * input.n_query + row.query) * input.n_head + row.head;
  }

  int64_t RowCount() const { return input.n_batch * input.n_query * input.n_head; }
  RowId RowAt(int64_t number) const {
    const int64_t query = number / input.n_head;
    return {query / input.n_query, query % input.n_query, number % input.n_head};
  }

  // Keys and values of one batch and KV head; row j is view.Row(0, j, 0).
  TensorView KeysOf(int64_t batch, int64_t head_kv) const { return HeadOf(keys_, batch, head_kv); }
  TensorView ValuesOf(int64_t batch, int64_t head_kv) const { return HeadOf(values_, batch, head_kv); }
  // From now on they are read from copies of K and V.
  void ReadKeysFrom(const TensorView& copy) { keys_ = copy; }
  void ReadValuesFrom(const TensorView& copy) { values_ = copy; }
  const float* QueryOf(const RowId& row) const {
    return reinterpret_cast<const float*>(input.q.Row(row.batch, row.query, row.head));
  }
  // Asks for a row's query, which lies far from the last one's: no hardware prefetcher finds it.
  void PrefetchQuery(const RowId& row) const;
  // scaled[0, PadToLanes(d_k)) = q' of a row: its query times the scale, in f32, and zeros.
  void ScaleQuery(const RowId& row, float* scaled) const;
  // The mask row of a row, or null.
  const uint8_t* MaskOf(const RowId& row) const {
    return input.mask.data == nullptr ? nullptr : input.mask.Row(row.batch, row.head, row.query);
  }
  float SlopeOf(int64_t head) const { return AlibiSlope(input.alibi_max_bias, head, input.n_head); }
  float SinkLogitOf(int64_t head) const {
    return input.sink_logits == nullptr ? -std::numeric_limits<float>::infinity() : input.sink_logits[head];
  }

  // Visibility of every distinct mask row; find all before asking for one. Index is below VisibilityCount().
  int64_t VisibilityCount() const { return MaskBatches() * MaskHeads() * input.n_query; }
  // listed: of ListedKeys elements.
  void SetVisibilities(std::span<Visibility> memory, KeyIndex* listed) {
    visibilities_ = memory;
    listed_ = listed;
  }
  void FindVisibilityAt(int64_t index);
  // Room for the visible keys of all mask rows, where few enough are promised that rows may gather them; else 0.
  int64_t ListedKeys() const;
  // Keys whose scan is as much work to split as a row has at most, as far as it is promised.
  int64_t KeysOfWork() const;
  const Visibility& VisibilityOf(const RowId& row) const {
    return visibilities_[((row.batch % MaskBatches()) * MaskHeads() + row.head % MaskHeads()) * input.n_query +
                         row.query];
  }

  // The keys that a row may keep of those that compete for a place: as many as it looks for, of which a mass target may
  // need fewer; and the most of any row.
  int64_t LargestBudgetOf(const Visibility& visibility) const { return LargestBudgetFor(visibility.count); }
  int64_t LargestBudget() const { return LargestBudgetFor(input.n_key); }
  int64_t BudgetOf(const Visibility& visibility) const { return options.BudgetFor(visibility.count); }
  int64_t MaxSelected() const;
  // The most that one row keeps: all rows do, but those with a mass target.
  int64_t MostSelected(const Visibility& visibility) const {
    return std::min<int64_t>(LargestBudgetOf(visibility), visibility.n_competing) + visibility.count -
           visibility.n_competing;
  }
  bool IsSelectionWanted() const { return output.selection != nullptr; }
  // Whether rows may run dense at all: that leaves no selection, and works by partial softmaxes without dropout.
  bool AllowsDense() const {
    return !IsSelectionWanted() && input.activation == Activation::kSoftmax && input.dropout_p == 0.0F;
  }

  // Whether a row keeps every visible key, by the options or because dense is faster there.
  bool RunsDense(const Visibility& visibility) const {
    if (options.sparse || !AllowsDense()) return false;
    return visibility.n_competing <= BudgetOf(visibility) || visibility.count < options.crossover;
  }
  // Whether a row's visible keys are so scattered that reading them alone is faster than a scan.
  bool Gathers(const Visibility& visibility) const { return IsScattered(visibility, kGatherOrScanF32); }
  // Whether int8 products could decide about any row's keys.
  bool CanScanInt8() const { return CanScanInt8(input.n_key, LargestBudget()); }
  // Whether any row of the call suits it, or is sparse but does not.
  bool AnySuitsInt8() const {
    return std::any_of(visibilities_.begin(), visibilities_.end(),
                       [this](const Visibility& visible) { return !RunsDense(visible) && SuitsInt8(visible); });
  }
  bool AllRunDense() const {
    return std::all_of(visibilities_.begin(), visibilities_.end(),
                       [this](const Visibility& visible) { return RunsDense(visible); });
  }
  bool AnyNeedsF32() const {
    return std::any_of(visibilities_.begin(), visibilities_.end(), [this](const Visibility& visible) {
      return !RunsDense(visible) && !SuitsInt8(visible) && !Gathers(visible);
    });
  }
  // Nor for a row whose mask has to be added, or whose mass is sampled.
  bool SuitsInt8(const Visibility& visibility) const {
    return CanScanInt8(visibility.n_competing, LargestBudgetOf(visibility)) && visibility.is_zero &&
           !IsScattered(visibility, kGatherOrScanInt8) && !MeasuresMass(visibility);
  }
  bool MeasuresEveryMass() const { return options.mass == MassMode::kExact || options.min_mass > 0; }
  bool MeasuresMass(const Visibility& visibility) const {
    if (MeasuresEveryMass()) return true;
    return options.mass == MassMode::kSampled && SamplesMass(visibility.count);
  }

 private:
  int64_t LargestBudgetFor(int64_t n_visible) const {
    return options.min_mass > 0 ? options.max_k : options.BudgetFor(n_visible);
  }
  // Not under a soft-cap, which makes different products equal scores, nor where the mass of every row is wanted, which
  // is made of all scores.
  bool CanScanInt8(int64_t n_keys, int64_t budget) const {
    return !(input.softcap > 0) && !MeasuresEveryMass() && n_keys >= kLeastKeysForInt8 * budget;
  }
  static TensorView HeadOf(const TensorView& view, int64_t batch, int64_t head_kv) {
    TensorView head = view;
    head.data = static_cast<const uint8_t*>(view.data) + batch * view.batch_stride + head_kv * view.head_stride;
    return head;
  }
  bool IsScattered(const Visibility& visibility, const GatherLimit& limit) const {
    return visibility.count > 0 && IsFewOf(visibility.end - visibility.begin, visibility.count, limit);
  }
  bool IsFewOf(int64_t n_keys, int64_t n_visible, const GatherLimit& limit) const {
    return static_cast<double>(n_visible) * limit.KeysPerGathered(input.n_query) <= static_cast<double>(n_keys);
  }
  // Visible keys that a mask row is listed up to; 0: none is.
  int64_t MostListed() const {
    constexpr int64_t kMostInAll = int64_t{1} << 28;  // a gigabyte
    const bool is_worth_it = HasMask() && IsFewOf(input.n_key, input.most_visible, kGatherOrScanF32) &&
                             input.most_visible <= kMostInAll / VisibilityCount();
    return is_worth_it ? input.most_visible : 0;
  }
  bool HasMask() const { return input.mask.data != nullptr; }
  int64_t MaskBatches() const { return HasMask() ? std::min(input.mask.n_batch, input.n_batch) : 1; }
  int64_t MaskHeads() const { return HasMask() ? std::min(input.mask.n_head, input.n_head) : 1; }

  TensorView keys_;    // K or a copy
  TensorView values_;  // V or a copy
  std::span<Visibility> visibilities_;
  KeyIndex* listed_ = nullptr;
};

}  // namespace topk

#endif  // TOPK_SRC_CALL_H_
