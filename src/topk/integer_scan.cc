#include "topk/integer_scan.h"

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

// Keys between two looks at the rows' floors: 4,096, 256 KiB in int8 at d = 64.
constexpr int64_t kSegmentBlocks = kMostScannedBlocks;
// Vectors of kMaxLanes keys in the sample, spread over the blocks: single ones vary less than whole blocks would.
constexpr int64_t kVectors = kBlockKeys / kMaxLanes;  // of a block
constexpr int64_t kSampleVectors = IntegerScan::kMostSampledBlocks * kVectors;
constexpr int64_t kSampleKeys = kSampleVectors * kMaxLanes;
constexpr int64_t kSampleStride = kSampleKeys + kMaxLanes;

// Standard deviations between a guess and the score that it should not exceed. A row with a wrong guess is scanned
// again.
constexpr double kDeviations = 2.0;

// Rows of a KV head that make up for quantising its keys.
constexpr int64_t kFewestRows = 48;

constexpr float kNoGuess = -std::numeric_limits<float>::infinity();

// Room for whole panels of rows, which QuantizeQueries writes.
constexpr int64_t kSlots = PadToBlocks(kTileRows);

}  // namespace

bool IntegerScan::Suits(const Call& call) {
  if (!call.CanScanInt8()) return false;
  if (call.options.scan != ScanMode::kAuto) return call.options.scan != ScanMode::kF32;
  return call.RowsPerHeadKv() >= kFewestRows;
}

static_assert(kTileRows <= kIntegerStride && kTileRows % kIntegerRows == 0);

IntegerScan IntegerScan::Take(Carver& carver, const Call& call) {
  const int64_t d = call.input.d_k;
  IntegerScan scan;
  scan.queries_ = carver.Take<float>(kTileRows * PadToLanes(d));
  scan.offset_ = carver.Take<double>(kTileRows);
  scan.guess_ = carver.Take<float>(kTileRows);
  scan.errors_ = carver.Take<float>(kTileRows);
  scan.slots_ = carver.Take<RowState*>(kTileRows);
  scan.panel_ = carver.Take<float>(d * kBlockKeys);
  scan.magnitude_ = carver.Take<int32_t>(PadToLanes(d));
  scan.numbers_ = carver.Take<uint8_t>(kSlots * QuantizedBytes(d, QuantizedKeys::WidestOf(call)));
  scan.facts_ = {carver.Take<float>(kSlots), carver.Take<float>(kSlots), carver.Take<float>(kSlots),
                 carver.Take<int32_t>(kSlots)};
  scan.bounds_ = {carver.Take<float>(kSlots), carver.Take<float>(kSlots), carver.Take<float>(kSlots)};
  scan.sample_vectors_ = carver.Take<const uint8_t*>(kSampleVectors);
  scan.sample_scales_ = carver.Take<float>(kSampleVectors);
  scan.sample_keys_ = carver.Take<KeyIndex>(kSampleVectors);
  scan.sample_visible_ = carver.Take<uint64_t>(kSampleVectors);
  scan.sample_scores_ = carver.Take<float>(kIntegerRows * kSampleStride);
  scan.survivors_ = Survivors::Take(carver, kSegmentBlocks);
  return scan;
}

// The rows' queries, scaled as the f32 scan has them and in integers, and their bounds.
bool IntegerScan::Prepare(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows) {
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
    QuantizeQueries(head.WidthInUse(), panel_, d, numbers_ + first * QuantizedBytes(d, head.WidthInUse()),
                    {facts_.scale + first, facts_.norm + first, facts_.error + first, facts_.sum + first});
  }
  return true;
}

// Adds to the sample vector `part` of a block of head.panels, which holds the keys from `key` on.
void IntegerScan::SampleVector(const Call& call, const QuantizedHead& head, int64_t block, int64_t part, int64_t key) {
  const int64_t panel_bytes = QuantizedPanelBytes(call.input.d_k, head.WidthInUse());
  sample_vectors_[n_sampled_] = head.panels + block * panel_bytes + part * kMaxLanes * kGroupBytes;
  sample_scales_[n_sampled_] = head.scale[block];
  sample_keys_[n_sampled_++] = static_cast<KeyIndex>(key);
}

void IntegerScan::FindVisibleInSample(const Call& call, const uint8_t* mask) {
  for (int64_t v = 0; v < n_sampled_; ++v) {
    FindVisibleBits(call.input.mask.type, mask, sample_keys_[v], sample_keys_[v] + static_cast<KeyIndex>(kMaxLanes),
                    sample_visible_ + v);
  }
}

// Hides the scores of the sample's keys that the row does not see; returns how many it does. Of vectors at the ends of
// its range, all.
int64_t IntegerScan::HideInSample(const RowState& row, float* scores) const {
  constexpr uint64_t kAll = (uint64_t{1} << kMaxLanes) - 1;
  int64_t n_visible = 0;
  for (int64_t v = 0; v < n_sampled_; ++v, scores += kMaxLanes) {
    const bool competes =
        sample_keys_[v] >= row.visible->sinks_end && sample_keys_[v] + kMaxLanes <= row.visible->window_begin;
    const uint64_t visible = !competes ? 0 : row.mask == nullptr ? kAll : sample_visible_[v];
    n_visible += std::popcount(visible);
    for (uint64_t hidden = visible ^ kAll; hidden != 0; hidden &= hidden - 1) {
      scores[std::countr_zero(hidden)] = -std::numeric_limits<float>::infinity();
    }
  }
  return n_visible;
}

// Scores the sample for each row: use(row, its scores, the number of them that compete, the guess) where they allow
// one. Scores and guess are divided by the scale of the row's integers.
template <typename Use>
void IntegerScan::ForEachGuess(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows,
                               Use&& use) {
  const int64_t d = call.input.d_k;
  const int64_t n_keys = n_sampled_ * kMaxLanes;
  const uint8_t* mask = nullptr;
  for (int64_t r = 0; r < static_cast<int64_t>(rows.size()); ++r) {
    if (r % kIntegerRows == 0) {
      const QuantizedRows few{numbers_ + r * QuantizedBytes(d, head.WidthInUse()), facts_.sum + r, kIntegerRows,
                              head.WidthInUse()};
      SampleIntegers(few, sample_vectors_, sample_scales_, n_sampled_, d, sample_scores_, kSampleStride);
    }
    const RowState& row = *rows[r];
    float* scores = sample_scores_ + r % kIntegerRows * kSampleStride;
    if (row.mask != nullptr && row.mask != mask) FindVisibleInSample(call, mask = row.mask);
    const int64_t n_visible = HideInSample(row, scores);
    if (n_visible == 0) continue;
    const auto guess = GuessFloor(scores, n_keys, {n_visible, row.visible->n_competing},
                                  call.LargestBudgetOf(*row.visible), kDeviations);
    if (guess) use(r, scores, n_visible, *guess);
  }
}

// A sample of the keys that all rows see gives each row's guess.
void IntegerScan::Guess(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows) {
  std::fill_n(guess_, rows.size(), kNoGuess);
  int64_t begin = 0;
  int64_t end = call.input.n_key;
  for (const RowState* row : rows) {
    begin = std::max<int64_t>(begin, row->visible->sinks_end);
    end = std::min<int64_t>(end, row->visible->window_begin);
  }
  const int64_t first_block = BlockCount(begin);
  const int64_t n_blocks = end / kBlockKeys - first_block;
  if (n_blocks <= 0) return;
  n_sampled_ = 0;
  for (int64_t v = 0; v < kSampleVectors; ++v) {
    const int64_t at = v * n_blocks * kVectors / kSampleVectors;  // strides are seldom whole: all places in a block
    const int64_t block = first_block + at / kVectors;
    SampleVector(call, head, block, at % kVectors, block * kBlockKeys + at % kVectors * kMaxLanes);
  }
  ForEachGuess(call, head, rows, [&](int64_t r, const float* /*scores*/, int64_t /*n_visible*/, float guess) {
    guess_[r] = guess * facts_.scale[r];
  });
}

std::optional<double> IntegerScan::ShareOfSurvivors(const Call& call, const QuantizedHead& sample,
                                                    std::span<const int64_t> blocks, std::span<RowState> rows) {
  for (size_t r = 0; r < rows.size(); ++r) slots_[r] = &rows[r];
  const std::span<RowState*> all(slots_, rows.size());
  if (!Prepare(call, sample, all)) return std::nullopt;
  n_sampled_ = 0;
  for (size_t slot = 0; slot < blocks.size(); ++slot) {
    for (int64_t part = 0; part < kVectors; ++part) {
      SampleVector(call, sample, static_cast<int64_t>(slot), part, blocks[slot] * kBlockKeys + part * kMaxLanes);
    }
  }
  int64_t n_seen = 0;
  int64_t n_surviving = 0;
  ForEachGuess(call, sample, all, [&](int64_t r, const float* scores, int64_t n_visible, float guess) {
    const float norm = (facts_.error[r] + kTransformUnits * facts_.norm[r]) / facts_.scale[r];
    const float error = (facts_.norm[r] + facts_.error[r]) / facts_.scale[r];
    n_seen += n_visible;
    for (size_t slot = 0; slot < blocks.size(); ++slot) {
      constexpr float kLowest = std::numeric_limits<float>::lowest();  // above what hides
      const float width = sample.scale[slot] * (norm * sample.scaled_norm[slot] + error * sample.scaled_error[slot]);
      const float reach = guess - width > kLowest ? guess - width : kLowest;  // NaN: all survive
      for (int64_t j = 0; j < kBlockKeys; ++j) n_surviving += scores[slot * kBlockKeys + j] >= reach ? 1 : 0;
    }
  });
  if (n_seen == 0) return std::nullopt;
  return static_cast<double>(n_surviving) / static_cast<double>(n_seen);
}

// What each row's keys must reach in the next segment, and by which of them the integer scores do.
void IntegerScan::FindSurvivors(const Call& call, const QuantizedHead& head, std::span<RowState* const> rows,
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
  const int64_t n_padded = PadToIntegerRows(n_rows);
  std::fill(bounds_.least + n_rows, bounds_.least + n_padded, std::numeric_limits<float>::infinity());
  std::fill(bounds_.norm + n_rows, bounds_.norm + n_padded, 0.0F);
  std::fill(bounds_.error + n_rows, bounds_.error + n_padded, 0.0F);
  const int64_t n_blocks = segment.last - segment.first;
  FindThresholds(
      bounds_, n_padded,
      {head.inverse_scale + segment.first, head.scaled_norm + segment.first, head.scaled_error + segment.first},
      n_blocks, survivors_.thresholds);
  ScanIntegers({numbers_, facts_.sum, n_padded, head.WidthInUse()},
               head.panels + segment.first * QuantizedPanelBytes(call.input.d_k, head.WidthInUse()), n_blocks,
               call.input.d_k, survivors_.thresholds, survivors_.bits);
  const uint8_t* mask = nullptr;
  for (int64_t r = 0; r < n_rows; ++r) {
    survivors_.DropHidden(call, *rows[r], r, segment.first * kBlockKeys, n_blocks, mask);
  }
}

// Whether few enough keys of the segment survived.
bool IntegerScan::IsWorthwhile(int64_t n_rows, int64_t n_blocks) const {
  int64_t count = 0;
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t b = 0; b < n_blocks; ++b) count += std::popcount(survivors_.bits[r * kSurvivorStride + b]);
  }
  return count * kLeastKeysPerSurvivor <= n_rows * n_blocks * kBlockKeys;
}

// One scan for the rows in order; false if it was refused.
bool IntegerScan::Pass(const Call& call, const TensorView& keys, const QuantizedHead& head,
                       std::span<RowState* const> rows, bool may_refuse) {
  const auto n_rows = static_cast<int64_t>(rows.size());
  int64_t begin = call.input.n_key;
  int64_t end = 0;
  for (const RowState* row : rows) {
    begin = std::min<int64_t>(begin, row->visible->sinks_end);
    end = std::max<int64_t>(end, row->visible->window_begin);
  }
  const int64_t last_block = BlockCount(end);
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

bool IntegerScan::Run(const Call& call, int64_t head_kv, const QuantizedHead& head, std::span<RowState> rows) {
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
