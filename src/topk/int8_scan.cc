#include "topk/int8_scan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/select/guess.h"
#include "topk/select/select.h"

namespace topk {

namespace {

// Keys between two looks at the rows' floors: 4,096, 256 KiB of int8 numbers at d = 64.
constexpr int64_t kSegmentBlocks = 64;
// Vectors of kMaxLanes keys in the sample, spread over the blocks: single ones vary less than whole blocks would.
constexpr int64_t kSampleVectors = 64;
constexpr int64_t kSampleKeys = kSampleVectors * kMaxLanes;

// Standard deviations between a guess and the score that it should not exceed. A row with a wrong guess is scanned
// again.
constexpr double kDeviations = 2.0;

// Rows of a KV head that make up for quantising its keys.
constexpr int64_t kFewestRows = 48;

constexpr float kNoGuess = -std::numeric_limits<float>::infinity();

// Room for whole panels of rows, which QuantizeQueries writes.
constexpr int64_t kSlots = (kTileRows + kBlockKeys - 1) / kBlockKeys * kBlockKeys;

}  // namespace

bool Int8Scan::Suits(const Call& call) {
  if (!call.CanScanInt8(call.input.n_key)) return false;
  if (call.options.scan != ScanMode::kAuto) return call.options.scan == ScanMode::kInt8;
  return call.RowsPerHeadKv() >= kFewestRows;
}

static_assert(kTileRows <= kInt8Stride && kTileRows % kInt8Rows == 0);

Int8Scan Int8Scan::Take(Carver& carver, const Call& call) {
  const int64_t d = call.input.d_k;
  Int8Scan scan;
  scan.queries_ = carver.Take<float>(kTileRows * PadToLanes(d));
  scan.offset_ = carver.Take<double>(kTileRows);
  scan.guess_ = carver.Take<float>(kTileRows);
  scan.errors_ = carver.Take<float>(kTileRows);
  scan.slots_ = carver.Take<RowState*>(kTileRows);
  scan.panel_ = carver.Take<float>(d * kBlockKeys);
  scan.magnitude_ = carver.Take<int32_t>(PadToLanes(d));
  scan.n_numbers_ = GroupsOf(d) * kGroup;
  scan.numbers_ = carver.Take<int8_t>(kSlots * scan.n_numbers_);
  scan.facts_ = {carver.Take<float>(kSlots), carver.Take<float>(kSlots), carver.Take<float>(kSlots),
                 carver.Take<int32_t>(kSlots)};
  scan.bounds_ = {carver.Take<float>(kSlots), carver.Take<float>(kSlots), carver.Take<float>(kSlots)};
  scan.sample_vectors_ = carver.Take<const uint8_t*>(kSampleVectors);
  scan.sample_scales_ = carver.Take<float>(kSampleVectors);
  scan.sample_keys_ = carver.Take<KeyIndex>(kSampleVectors);
  scan.sample_visible_ = carver.Take<uint64_t>(kSampleVectors);
  scan.sample_scores_ = carver.Take<float>(kInt8Rows * (kSampleKeys + kMaxLanes));
  scan.survivors_ = Survivors::Take(carver, kSegmentBlocks);
  return scan;
}

// The rows' queries, scaled as the f32 scan has them and in int8, and their bounds.
bool Int8Scan::Prepare(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows) {
  const int64_t d = call.input.d_k;
  const int64_t stride = PadToLanes(d);
  const auto n_rows = static_cast<int64_t>(rows.size());
  for (int64_t r = 0; r < n_rows; ++r) {
    const float* query = call.QueryOf(rows[r]->id);
    float* scaled = queries_ + r * stride;
    double offset = 0;
    call.ScaleQuery(rows[r]->id, scaled);
    for (int64_t i = 0; i < d; ++i) offset += static_cast<double>(query[i]) * head.mean[i];
    offset_[r] = call.rule.scale * offset;
    const float error = ScanError(scaled, head.magnitude, d, 0.0F);
    if (IsTooCoarse(error)) return false;
    errors_[r] = error;
  }

  const TensorView view{.data = queries_,
                        .type = DataType::kF32,
                        .token_stride = stride * static_cast<int64_t>(sizeof(float)),
                        .head_stride = 0,
                        .batch_stride = 0};
  const float gain = 1.0F / static_cast<float>(HadamardSize(d));
  for (int64_t first = 0; first < n_rows; first += kBlockKeys) {
    const int64_t count = std::min(kBlockKeys, n_rows - first);
    PackKeys(view, first, count, d, panel_, magnitude_);
    TransformPanel(panel_, d, nullptr, head.inverse, gain);
    QuantizeQueries(panel_, d, numbers_ + first * n_numbers_,
                    {facts_.scale + first, facts_.norm + first, facts_.error + first, facts_.sum + first});
  }
  return true;
}

// A sample of the keys that all rows see, scored in int8, gives each row's guess.
void Int8Scan::Guess(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows) {
  const int64_t d = call.input.d_k;
  const auto n_rows = static_cast<int64_t>(rows.size());
  std::fill_n(guess_, n_rows, kNoGuess);
  int64_t begin = 0;
  int64_t end = call.input.n_key;
  for (const RowState* row : rows) {
    begin = std::max<int64_t>(begin, row->visible->sinks_end);
    end = std::min<int64_t>(end, row->visible->window_begin);
  }
  const int64_t first_block = (begin + kBlockKeys - 1) / kBlockKeys;
  const int64_t n_blocks = end / kBlockKeys - first_block;
  if (n_blocks <= 0) return;
  constexpr int64_t kVectors = kBlockKeys / kMaxLanes;
  for (int64_t v = 0; v < kSampleVectors; ++v) {
    const int64_t at = v * n_blocks * kVectors / kSampleVectors;  // strides are seldom whole: all places in a block
    const int64_t block = first_block + at / kVectors;
    sample_vectors_[v] = head.panels + block * QuantizedPanelBytes(d) + at % kVectors * kMaxLanes * kGroup;
    sample_scales_[v] = head.scale[block];
    sample_keys_[v] = static_cast<KeyIndex>(block * kBlockKeys + at % kVectors * kMaxLanes);
  }
  const uint8_t* mask = nullptr;
  for (int64_t r = 0; r < n_rows; ++r) {
    constexpr int64_t kStride = kSampleKeys + kMaxLanes;
    if (r % kInt8Rows == 0) {
      const QuantizedRows few{numbers_ + r * n_numbers_, facts_.sum + r, kInt8Rows};
      SampleInt8(few, sample_vectors_, sample_scales_, kSampleVectors, d, sample_scores_, kStride);
    }
    float* scores = sample_scores_ + r % kInt8Rows * kStride;
    int64_t n_sample = kSampleKeys;
    if (rows[r]->mask != nullptr) {
      if (rows[r]->mask != mask) FindVisibleInSample(call, mask = rows[r]->mask);
      n_sample = HideInSample(scores);
    }
    if (n_sample == 0) continue;
    const RowState& row = *rows[r];
    const auto guess =
        GuessFloor(scores, kSampleKeys, {n_sample, row.visible->n_competing}, row.candidates.budget(), kDeviations);
    if (guess) guess_[r] = *guess * facts_.scale[r];
  }
}

void Int8Scan::FindVisibleInSample(const Call& call, const uint8_t* mask) {
  for (int64_t v = 0; v < kSampleVectors; ++v) {
    FindVisibleBits(call.input.mask.type, mask, sample_keys_[v], sample_keys_[v] + static_cast<KeyIndex>(kMaxLanes),
                    sample_visible_ + v);
  }
}

// Hides the scores of the sample's hidden keys; returns how many are visible.
int64_t Int8Scan::HideInSample(float* scores) const {
  int64_t n_visible = 0;
  for (int64_t v = 0; v < kSampleVectors; ++v, scores += kMaxLanes) {
    constexpr uint64_t kAll = (uint64_t{1} << kMaxLanes) - 1;
    n_visible += std::popcount(sample_visible_[v]);
    for (uint64_t hidden = sample_visible_[v] ^ kAll; hidden != 0; hidden &= hidden - 1) {
      scores[std::countr_zero(hidden)] = -std::numeric_limits<float>::infinity();
    }
  }
  return n_visible;
}

// What each row's keys must reach in the next segment, and by which of them the int8 scores do.
void Int8Scan::FindSurvivors(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows,
                             Blocks segment) {
  const auto n_rows = static_cast<int64_t>(rows.size());
  for (int64_t r = 0; r < n_rows; ++r) {
    const Candidates& candidates = rows[r]->candidates;
    const double proven = static_cast<double>(candidates.floor()) - offset_[r];
    const double least = std::max<double>(proven, guess_[r]) - candidates.error();
    const double scale = facts_.scale[r];
    const double transforms = static_cast<double>(kTransformUnits) * facts_.norm[r];
    bounds_.least[r] = RoundDown((least - kThresholdRoundings * std::abs(least)) / scale);
    bounds_.norm[r] = static_cast<float>((facts_.error[r] + transforms) / scale * (1.0 + 10 * kThresholdRoundings));
    bounds_.error[r] =
        static_cast<float>((facts_.norm[r] + facts_.error[r]) / scale * (1.0 + 10 * kThresholdRoundings));
  }
  const int64_t n_padded = PadToInt8Rows(n_rows);
  std::fill(bounds_.least + n_rows, bounds_.least + n_padded, std::numeric_limits<float>::infinity());
  std::fill(bounds_.norm + n_rows, bounds_.norm + n_padded, 0.0F);
  std::fill(bounds_.error + n_rows, bounds_.error + n_padded, 0.0F);
  const int64_t n_blocks = segment.last - segment.first;
  FindThresholds(
      bounds_, n_padded,
      {head.inverse_scale + segment.first, head.scaled_norm + segment.first, head.scaled_error + segment.first},
      n_blocks, survivors_.thresholds);
  ScanInt8({numbers_, facts_.sum, n_padded}, head.panels + segment.first * QuantizedPanelBytes(call.input.d_k),
           n_blocks, call.input.d_k, survivors_.thresholds, survivors_.bits);
  const uint8_t* mask = nullptr;
  for (int64_t r = 0; r < n_rows; ++r) {
    survivors_.DropHidden(call, *rows[r], r, segment.first * kBlockKeys, n_blocks, mask);
  }
}

// Whether few enough keys of the segment survived.
bool Int8Scan::IsWorthwhile(int64_t n_rows, int64_t n_blocks) const {
  int64_t count = 0;
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t r = 0; r < n_rows; ++r) count += std::popcount(survivors_.bits[b * kInt8Stride + r]);
  }
  return count * kLeastKeysPerSurvivor <= n_rows * n_blocks * kBlockKeys;
}

// One scan for the rows in order; false if it was refused.
bool Int8Scan::Pass(const Call& call, const TensorView& keys, const QuantizedHead& head,
                    std::span<RowState* const> rows, bool may_refuse) {
  const auto n_rows = static_cast<int64_t>(rows.size());
  int64_t begin = call.input.n_key;
  int64_t end = 0;
  for (const RowState* row : rows) {
    begin = std::min<int64_t>(begin, row->visible->sinks_end);
    end = std::max<int64_t>(end, row->visible->window_begin);
  }
  const int64_t last_block = (end + kBlockKeys - 1) / kBlockKeys;
  for (Blocks segment{begin / kBlockKeys, 0}; segment.first < last_block; segment.first = segment.last) {
    segment.last = std::min(segment.first + kSegmentBlocks, last_block);
    FindSurvivors(call, head, rows, segment);
    if (may_refuse && !IsWorthwhile(n_rows, segment.last - segment.first)) return false;
    may_refuse = false;
    for (int64_t r = 0; r < n_rows; ++r) {
      survivors_.Offer(keys, call.input.d_k, segment.first * kBlockKeys, call.input.n_key, segment.last - segment.first,
                       r, queries_ + r * PadToLanes(call.input.d_k), *rows[r]);
    }
  }
  for (RowState* row : rows) row->candidates.DropHopeless();
  return true;
}

bool Int8Scan::Run(const Call& call, int64_t head_kv, const QuantizedHead& head, std::span<RowState> rows) {
  if (rows.empty()) return true;
  const TensorView keys = call.KeysOf(rows[0].id.batch, head_kv);
  for (size_t r = 0; r < rows.size(); ++r) slots_[r] = &rows[r];
  const std::span<RowState*> all(slots_, rows.size());
  if (!Prepare(call, head, all)) return false;
  for (size_t r = 0; r < all.size(); ++r) all[r]->candidates.SetError(errors_[r]);
  Guess(call, head, all);
  if (!Pass(call, keys, head, all, true)) return false;

  size_t n_again = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    RowState& row = rows[r];
    const double proven = static_cast<double>(row.candidates.floor()) - offset_[r];
    if (proven >= guess_[r]) continue;
    row.candidates.Restart();
    slots_[n_again++] = &row;
  }
  if (n_again == 0) return true;
  const std::span<RowState*> again(slots_, n_again);
  (void)Prepare(call, head, again);  // as the first time
  std::fill_n(guess_, n_again, kNoGuess);
  return Pass(call, keys, head, again, false);
}

}  // namespace topk
