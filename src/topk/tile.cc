#include "topk/tile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "topk/amx.h"
#include "topk/bf16x3/bf16x3.h"
#include "topk/direct/direct.h"
#include "topk/load/pack.h"
#include "topk/scan/scan.h"

namespace topk {

namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Keys, at most, that are scored directly sooner: products of bf16 parts have memory fetched a block ahead.
constexpr int64_t kShortScan = 8 * kBlockKeys;

bool SeesBlock(const RowState& row, int64_t first_key) {
  return row.visible->begin < first_key + kBlockKeys && row.visible->end > first_key;
}

// Keys of a block between the first and the last that a row sees.
int64_t KeysSeen(const RowState& row, int64_t first_key) {
  const int64_t begin = std::max<int64_t>(first_key, row.visible->begin);
  return std::max<int64_t>(0, std::min<int64_t>(first_key + kBlockKeys, row.visible->end) - begin);
}

// What is known of a block's scores.
struct BlockScores {
  bool magnitude_grew = false;
  bool knows_competing = false;
  uint32_t competing = 0;  // bit r: whether any of row r's may be among its best
};

// The same as ScoreInF32 where keys suit bf16: then rows that cannot compete are known from the start.
std::optional<BlockScores> ScoreInBf16(const KeyBlock& block, int64_t d, std::span<const RowState> rows,
                                       const Workspace& work) {
  float reach[kMostBf16Rows];
  for (size_t r = 0; r < rows.size(); ++r) {
    const bool may_skip = !rows[r].is_dense && !rows[r].measures_mass && rows[r].mask == nullptr;
    reach[r] = may_skip ? rows[r].candidates.ReachToCompete() : kHidden;
  }
  const Bf16x3Result result = ScoreBf16x3(work.query_tiles, static_cast<int64_t>(rows.size()), block, d, reach,
                                          work.scores, kBlockKeys, work.magnitude);
  if (result.magnitude == MagnitudeChange::kTooLarge) return std::nullopt;
  return BlockScores{result.magnitude == MagnitudeChange::kGrew, true, result.competing};
}

// q'.k of n_rows rows of work.queries and a block's keys, into work.scores.
BlockScores ScoreInF32(const KeyBlock& block, int64_t d, int64_t n_rows, const Workspace& work) {
  if (n_rows <= kMostDirectRows) {
    return {ScoreDirectly(work.queries, n_rows, block.keys, block.first, block.count, d, work.scores, kBlockKeys,
                          work.magnitude)};
  }
  const bool grew = PackKeys(block.keys, block.first, block.count, d, work.key_panel, work.magnitude);
  MultiplyTile(work.queries, PadToLanes(d), work.key_panel, kBlockKeys, work.scores, kBlockKeys, n_rows, kBlockKeys, d,
               false);
  return {grew};
}

// From scores of a block to weights, with sums[row][d_v_padded] scaled to them.
void WeighBlock(const Workspace& work, std::span<RowState> rows, float* sums, int64_t d_v_padded) {
  for (size_t r = 0; r < rows.size(); ++r) {
    OnlineSoftmaxStep(work.scores + r * kBlockKeys, rows[r].all, sums + r * d_v_padded, d_v_padded);
  }
}

}  // namespace

void HideOutside(int64_t begin, int64_t end, int64_t first_key, float* scores) {
  const int64_t low = std::clamp<int64_t>(begin - first_key, 0, kBlockKeys);
  const int64_t high = std::clamp<int64_t>(end - first_key, low, kBlockKeys);
  std::fill(scores, scores + low, kHidden);
  std::fill(scores + high, scores + kBlockKeys, kHidden);
}

Workspace Workspace::Take(Carver& carver, const Call& call) {
  const int64_t d_k = PadToLanes(call.input.d_k);
  const int64_t d_v = PadToLanes(call.input.d_v);
  const bool suits_bf16 = SuitsBf16x3(call.input.k.type, call.input.d_k);
  return {.queries = carver.Take<float>(kTileRows * d_k),
          .key_panel = carver.Take<float>(call.input.d_k * kBlockKeys),
          .value_panel = carver.Take<float>(kBlockKeys * d_v),
          .scores = carver.Take<float>(kTileRows * kBlockKeys),
          .magnitude = carver.Take<int32_t>(d_k),
          .query_tiles = suits_bf16 ? carver.Take<uint8_t>(Bf16QueryBytes(call.input.d_k)) : nullptr};
}

Workspace Workspace::WithOwnQueries(Carver& carver, const Call& call) const {
  const int64_t d_k = PadToLanes(call.input.d_k);
  Workspace own = *this;
  own.queries = carver.Take<float>(kMostBf16Rows * d_k);
  own.magnitude = carver.Take<int32_t>(d_k);
  own.query_tiles = carver.Take<uint8_t>(Bf16QueryBytes(call.input.d_k));
  return own;
}

WholeRows WholeRows::Take(Carver& carver, const Call& call) {
  const int64_t stride = PadToBlocks(call.input.n_key) + kMaxLanes;
  return {.scores = carver.Take<float>(kTileRows * stride),
          .stride = stride,
          .parts = carver.Take<uint16_t>(KeyPanels::PartsSize(call))};
}

TilePart TilePart::Take(Carver& carver, const Call& call, int64_t max_rows, int64_t capacity) {
  TilePart part;
  part.rows_ = carver.Take<RowState>(max_rows);
  part.sum_stride_ = PadToLanes(call.input.d_v);
  part.sums_ = carver.Take<float>(max_rows * part.sum_stride_);
  part.capacity_ = capacity;
  part.candidate_scores_ = carver.Take<float>(max_rows * capacity);
  part.candidate_keys_ = carver.Take<KeyIndex>(max_rows * capacity);
  return part;
}

void TilePart::Admit(const Call& call, const RowId& id, bool is_dense, int64_t slot) {
  RowState& row = *std::construct_at(rows_ + slot);
  row.id = id;
  row.visible = &call.VisibilityOf(id);
  row.mask = row.visible->is_range ? nullptr : call.MaskOf(id);
  row.slope = call.SlopeOf(id.head);
  row.is_dense = is_dense;
  row.is_canonical = !row.visible->is_finite;
  row.measures_mass = call.MeasuresMass(*row.visible);
  if (is_dense) {
    std::fill_n(sums_ + slot * sum_stride_, sum_stride_, 0.0F);
  } else {
    row.candidates.Start(call.LargestBudgetOf(*row.visible), capacity_, candidate_scores_ + slot * capacity_,
                         candidate_keys_ + slot * capacity_);
  }
}

void TilePart::Start(const Call& call, const Tile& tile, const RowStart* starts, bool use_int8) {
  enum class Kind { kDense, kF32, kInt8, kGathered };
  const auto kind_of = [&](const RowId& id) {
    const Visibility& visible = call.VisibilityOf(id);
    const bool is_dense = call.RunsDense(visible);
    if (use_int8 && !is_dense && call.SuitsInt8(visible)) return Kind::kInt8;
    if (call.Gathers(visible)) return Kind::kGathered;
    return is_dense ? Kind::kDense : Kind::kF32;
  };
  n_rows_ = 0;
  for (const Kind kind : {Kind::kDense, Kind::kF32, Kind::kInt8, Kind::kGathered}) {
    for (int64_t r = 0; r < tile.n_rows; ++r) {
      const RowId id = call.RowOf(tile, r);
      if (kind_of(id) != kind || (starts != nullptr && starts[r].is_done)) continue;
      const bool is_dense = call.RunsDense(call.VisibilityOf(id));
      Admit(call, id, is_dense, n_rows_);
      if (starts != nullptr && !is_dense) {
        rows_[n_rows_].candidates.RaiseFloor(starts[r].floor);
        rows_[n_rows_].candidates.SetGuess(starts[r].guess);
      }
      ++n_rows_;
    }
    if (kind == Kind::kDense) n_dense_ = n_rows_;
    if (kind == Kind::kF32) n_f32_ = n_rows_;
    if (kind == Kind::kInt8) n_scanned_ = n_rows_;
  }
}

void TilePart::StartRow(const Call& call, const RowId& id, bool is_dense) {
  Admit(call, id, is_dense, 0);
  n_rows_ = 1;
  n_dense_ = is_dense ? 1 : 0;
  n_f32_ = n_scanned_ = 1;
}

void TilePart::RestartAsDense(const Call& call, std::span<const int64_t> again) {
  n_rows_ = 0;
  for (const int64_t row : again) {  // row >= n_rows_: no state is overwritten before it is read
    const RowId id = rows_[row].id;
    Admit(call, id, true, n_rows_++);
  }
  n_dense_ = n_f32_ = n_scanned_ = n_rows_;
}

std::pair<int64_t, int64_t> TilePart::KeyRangeOf(std::span<const RowState> rows) {
  int64_t begin = std::numeric_limits<int64_t>::max();
  int64_t end = 0;
  for (const RowState& row : rows) {
    if (row.visible->count == 0) continue;
    begin = std::min<int64_t>(begin, row.visible->begin);
    end = std::max<int64_t>(end, row.visible->end);
  }
  return {std::min(begin, end), end};
}

void UpdateErrors(const Call& call, const Workspace& work, std::span<RowState> rows) {
  const int64_t d = call.input.d_k;
  const float* query = work.queries;
  for (RowState& row : rows) {
    const float error = ScanError(query, work.magnitude, d, call.input.softcap);
    if (IsTooCoarse(error)) row.is_canonical = true;
    if (!row.is_dense) row.candidates.SetError(error);
    query += PadToLanes(d);
  }
}

// From q'.k to s: soft-cap, mask, and -inf for what the row does not see.
void TilePart::PrepareScores(const Call& call, const RowState& row, int64_t first_key, float* scores) const {
  if (call.input.softcap > 0) Softcap(call.input.softcap, scores);
  if (row.mask != nullptr) {
    const int64_t count = std::min(kBlockKeys, call.input.n_key - first_key);
    const int64_t bytes = RowBytes(call.input.mask.type, first_key);
    AddMask(call.input.mask.type, row.mask + bytes, row.slope, count, scores);
  }
  if (first_key < row.visible->begin || first_key + kBlockKeys > row.visible->end) {
    HideOutside(row.visible->begin, row.visible->end, first_key, scores);
  }
}

// Offers the block's scores to a sparse row: to its mass if that is measured, to its candidates.
void TilePart::OfferBlock(RowState& row, int64_t first_key, float* scores) const {
  if (row.measures_mass) AddToExpSum(scores, row.all);
  row.n_scored += KeysSeen(row, first_key);
  // Sinks and window are in anyway: they do not compete.
  if (first_key < row.visible->sinks_end || first_key + kBlockKeys > row.visible->window_begin) {
    HideOutside(row.visible->sinks_end, row.visible->window_begin, first_key, scores);
  }
  row.candidates.Append(scores, static_cast<KeyIndex>(first_key));
}

void AttendPanel(const Workspace& work, int64_t count, std::span<RowState> rows, float* sums, int64_t d_v_padded) {
  WeighBlock(work, rows, sums, d_v_padded);
  MultiplyTile(work.scores, kBlockKeys, work.value_panel, d_v_padded, sums, d_v_padded,
               static_cast<int64_t>(rows.size()), d_v_padded, count, true);
}

// Online softmax of the dense rows' scores and their share of the output.
void TilePart::AttendBlock(const Call& call, const TensorView& values, int64_t first_key, int64_t count,
                           const Workspace& work) {
  const std::span<RowState> dense = dense_rows();
  bool is_finite = true;
  if (n_dense_ <= kMostDirectRows) {
    WeighBlock(work, dense, sums_, sum_stride_);
    is_finite = AddDirectly(work.scores, n_dense_, values, first_key, count, call.input.d_v, sums_);
  } else {
    is_finite = PackValues(values, first_key, count, call.input.d_v, work.value_panel);
    if (is_finite) AttendPanel(work, count, dense, sums_, sum_stride_);
  }
  if (is_finite) return;
  // A hidden value may be infinite: weight 0 times it is not 0.
  for (RowState& row : dense) row.is_canonical = true;
}

void TilePart::Scan(const Call& call, int64_t batch, int64_t head_kv, std::span<RowState> scanned, int64_t begin,
                    int64_t end, const Workspace& work) {
  std::optional<AmxRegisters> registers;
  if (work.query_tiles != nullptr) registers.emplace();
  StartScan(call, scanned, nullptr, work);
  const bool suits_direct = static_cast<int64_t>(scanned.size()) <= kMostDirectRows;
  if (suits_direct && end - begin <= kShortScan) scans_bf16_ = false;
  const TensorView keys = call.KeysOf(batch, head_kv);
  const TensorView values = call.ValuesOf(batch, head_kv);
  for (int64_t first_key = begin; first_key < end; first_key += kBlockKeys) {
    ScanBlock(call, values, scanned, {keys, first_key, std::min(kBlockKeys, end - first_key)}, work);
  }
}

void TilePart::StartScan(const Call& call, std::span<RowState> scanned, const int32_t* magnitude,
                         const Workspace& work) {
  const int64_t d = call.input.d_k;
  const int64_t stride = PadToLanes(d);
  const auto n_rows = static_cast<int64_t>(scanned.size());
  for (int64_t r = 0; r < n_rows; ++r) call.ScaleQuery(scanned[r].id, work.queries + r * stride);
  if (magnitude != nullptr) {
    std::copy_n(magnitude, stride, work.magnitude);
  } else {
    std::fill_n(work.magnitude, stride, 0);
  }
  UpdateErrors(call, work, scanned);  // queries that are not finite, or keys that are all zero
  scans_bf16_ = work.query_tiles != nullptr && n_rows <= kMostBf16Rows &&
                SplitQueries(call.input.k.type, work.queries, n_rows, d, work.query_tiles);
}

void TilePart::ScanBlock(const Call& call, const TensorView& values, std::span<RowState> scanned, const KeyBlock& block,
                         const Workspace& work) {
  const auto n_rows = static_cast<int64_t>(scanned.size());
  const bool has_dense = n_rows > 0 && scanned[0].is_dense;  // dense rows come first, and are scanned together
  std::optional<BlockScores> scored;
  if (scans_bf16_) scored = ScoreInBf16(block, call.input.d_k, scanned, work);
  if (!scored) scored = ScoreInF32(block, call.input.d_k, n_rows, work);
  if (scored->magnitude_grew) UpdateErrors(call, work, scanned);
  const bool may_skip = scored->knows_competing && !(call.input.softcap > 0);
  for (int64_t r = 0; r < n_rows; ++r) {
    RowState& row = scanned[r];
    if (may_skip && (scored->competing >> r & 1U) == 0) {
      row.n_scored += KeysSeen(row, block.first);
      continue;
    }
    float* scores = work.scores + r * kBlockKeys;
    if (row.is_canonical || !SeesBlock(row, block.first)) {
      if (row.is_dense) std::fill_n(scores, kBlockKeys, kHidden);
      continue;
    }
    PrepareScores(call, row, block.first, scores);
    if (block.count < kBlockKeys) HideOutside(block.first, block.first + block.count, block.first, scores);
    if (!row.is_dense) OfferBlock(row, block.first, scores);
  }
  if (has_dense) AttendBlock(call, values, block.first, block.count, work);
}

// Offers a row's scores of all keys that it sees; the first one is that of key `begin`.
void TilePart::OfferWholeRow(const Call& call, RowState& row, int64_t begin, float* scores) const {
  const Visibility& visible = *row.visible;
  const auto block_of = [begin](int64_t key) { return (key - begin) / kBlockKeys * kBlockKeys; };
  if (row.mask != nullptr || call.input.softcap > 0 || row.measures_mass) {
    for (int64_t at = block_of(visible.begin); at < visible.end - begin; at += kBlockKeys) {
      PrepareScores(call, row, begin + at, scores + at);
      if (row.measures_mass) AddToExpSum(scores + at, row.all);
    }
  }
  row.n_scored += visible.end - visible.begin;
  // Sinks and window are in anyway: they do not compete.
  if (visible.n_competing == 0) return;
  const int64_t first = block_of(visible.sinks_end);
  const int64_t last = block_of(visible.window_begin - 1);
  HideOutside(visible.sinks_end, visible.window_begin, begin + first, scores + first);
  if (last != first) HideOutside(visible.sinks_end, visible.window_begin, begin + last, scores + last);
  row.candidates.AppendWhole(scores + first, last + kBlockKeys - first, visible.n_competing,
                             static_cast<KeyIndex>(begin + first));
}

void TilePart::ScanWholeRows(const Call& call, int64_t batch, int64_t head_kv, const KeyPanels* panels,
                             const Workspace& work, const WholeRows& whole) {
  const std::span<RowState> scanned = f32_rows().subspan(static_cast<size_t>(n_dense_));
  const auto [first_seen, end] = KeyRangeOf(scanned);
  const int64_t begin = first_seen / kBlockKeys * kBlockKeys;
  const int64_t d = call.input.d_k;
  const int64_t stride = PadToLanes(d);
  for (size_t r = 0; r < scanned.size(); ++r) call.ScaleQuery(scanned[r].id, work.queries + r * stride);
  const TensorView keys = call.KeysOf(batch, head_kv);
  const KeyPanels::Queries queries = {work.queries, whole.parts, static_cast<int64_t>(scanned.size())};
  if (panels != nullptr) {
    panels->FindMagnitude(batch, head_kv, begin, end, work.magnitude);
    panels->Prepare(queries);
  } else {
    std::fill_n(work.magnitude, stride, 0);
  }
  for (int64_t first_key = begin; first_key < end; first_key += kBlockKeys) {
    const auto sees_block = [first_key](const RowState& row) { return SeesBlock(row, first_key); };
    const auto first = std::find_if(scanned.begin(), scanned.end(), sees_block);
    const auto last = std::find_if(scanned.rbegin(), std::make_reverse_iterator(first), sees_block).base();
    if (first == last) continue;
    const int64_t row = first - scanned.begin();
    float* scores = whole.scores + row * whole.stride + first_key - begin;
    if (panels != nullptr) {
      panels->Multiply(batch, head_kv, first_key, queries, row, last - scanned.begin(), scores, whole.stride);
    } else {
      ScoreDirectly(work.queries + row * stride, last - first, keys, first_key, std::min(kBlockKeys, end - first_key),
                    d, scores, whole.stride, work.magnitude);
    }
  }
  UpdateErrors(call, work, scanned);
  for (size_t r = 0; r < scanned.size(); ++r) {
    RowState& row = scanned[r];
    if (row.is_canonical || row.visible->count == 0) continue;
    OfferWholeRow(call, row, begin, whole.scores + static_cast<int64_t>(r) * whole.stride);
  }
}

void TilePart::MergeRow(const TilePart& other, int64_t other_row, int64_t d_v_padded) {
  RowState& row = rows_[0];
  const RowState& part = other.rows_[other_row];
  row.is_canonical = row.is_canonical || part.is_canonical;
  if (!row.is_dense) {
    row.candidates.Append(part.candidates);
    row.all.Merge(part.all);
    row.n_scored += part.n_scored;
    return;
  }
  if (part.all.sum == 0.0F) return;
  const float top = std::max(row.all.largest, part.all.largest);
  const float mine = row.all.sum == 0.0F ? 0.0F : std::exp(row.all.largest - top);
  const float theirs = std::exp(part.all.largest - top);
  const float* sum = other.sum(other_row);
  for (int64_t i = 0; i < d_v_padded; ++i) sums_[i] = sums_[i] * mine + sum[i] * theirs;
  row.all.Merge(part.all);
}

}  // namespace topk
