#include "topk/key_sample.h"

#include <algorithm>
#include <limits>

#include "topk/amx.h"
#include "topk/bf16x3/bf16x3.h"
#include "topk/load/pack.h"
#include "topk/quantize/quantize_rows.h"
#include "topk/scan/scan.h"
#include "topk/select/guess.h"
#include "topk/select/select.h"

namespace topk {

namespace {

// One key in so many is sampled, within limits.
constexpr int64_t kKeysPerSample = 32;
constexpr int64_t kFewestSampled = 4 * kBlockKeys;
constexpr int64_t kMostSampled = 32 * kBlockKeys;

// Standard deviations between a guess and the score that it should not exceed: one row in a thousand is scanned again,
// which costs as much as scanning all rows of its tile.
constexpr double kDeviations = 3.0;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int64_t SampleSize(int64_t n_keys) {
  return std::clamp(n_keys / kKeysPerSample / kBlockKeys * kBlockKeys, kFewestSampled, kMostSampled);
}

// Whether a row is scanned for its best keys. One that gathers its keys must not pay for the others, nor read them.
bool Profits(const Call& call, const Visibility& visible) {
  return !call.RunsDense(visible) && (!call.Gathers(visible) || call.SuitsInt8(visible));
}

}  // namespace

KeySample KeySample::Take(Carver& carver, const Call& call) {
  const int64_t n_rows = std::min(kTileRows, call.RowsPerHeadKv());
  const int64_t n_sample = SampleSize(call.input.n_key);
  KeySample sample;
  sample.scores_ = carver.Take<float>(n_rows * n_sample);
  sample.low_ = carver.Take<float>(call.input.d_k * kMaxLanes);
  sample.high_ = carver.Take<float>(call.input.d_k * kMaxLanes);
  sample.visible_ = carver.Take<float>(n_sample + kBlockKeys + kMaxLanes);
  sample.keys_ = carver.Take<KeyIndex>(n_sample + kBlockKeys + kMaxLanes);
  return sample;
}

// Single keys, evenly spread over those that compete in any row that profits; none if no row does.
KeySample::Places KeySample::Choose(const Call& call, const Tile& tile) {
  int64_t begin = call.input.n_key;
  int64_t end = 0;
  for (int64_t r = 0; r < tile.n_rows; ++r) {
    const Visibility& visible = call.VisibilityOf(call.RowOf(tile, r));
    if (!Profits(call, visible)) continue;
    begin = std::min<int64_t>(begin, visible.sinks_end);
    end = std::max<int64_t>(end, visible.window_begin);
  }
  if (begin >= end) return {};
  const int64_t count = SampleSize(end - begin);
  const int64_t step = (end - begin) / count;
  if (step < 2) return {};
  return {.begin = begin + step / 2, .step = step, .count = count};
}

// False if queries or keys do not suit.
bool KeySample::ScoreInBf16(const Call& call, const Tile& tile, const TensorView& keys, const Places& places,
                            const Workspace& work) const {
  const int64_t d = call.input.d_k;
  if (tile.n_rows > kMostBf16Rows || !SplitQueries(keys.type, work.queries, tile.n_rows, d, work.query_tiles)) {
    return false;
  }
  constexpr float kNoReach[kMostBf16Rows] = {};
  const AmxRegisters registers;
  for (int64_t first = 0; first < places.count; first += kBlockKeys) {
    const Bf16x3Result result = ScoreBf16x3(work.query_tiles, tile.n_rows, {keys, first, kBlockKeys}, d, kNoReach,
                                            scores_ + first * tile.n_rows, kBlockKeys, work.magnitude);
    if (result.magnitude == MagnitudeChange::kTooLarge) return false;
  }
  return true;
}

// needs_ranges: for int8.
void KeySample::Score(const Call& call, const Tile& tile, const Places& places, bool needs_ranges,
                      const Workspace& work) const {
  const int64_t d = call.input.d_k;
  const int64_t stride = PadToLanes(d);
  for (int64_t r = 0; r < tile.n_rows; ++r) call.ScaleQuery(call.RowOf(tile, r), work.queries + r * stride);
  TensorView keys = call.KeysOf(tile.batch, tile.head_kv);
  keys.data = keys.Row(0, places.begin, 0);
  keys.token_stride *= places.step;
  std::fill_n(work.magnitude, stride, 0);
  if (work.query_tiles != nullptr && !needs_ranges && ScoreInBf16(call, tile, keys, places, work)) return;
  std::fill_n(work.magnitude, stride, 0);
  std::fill_n(low_, d * kMaxLanes, kInfinity);
  std::fill_n(high_, d * kMaxLanes, -kInfinity);
  for (int64_t first = 0; first < places.count; first += kBlockKeys) {
    PackKeys(keys, first, kBlockKeys, d, work.key_panel, work.magnitude);
    TrackRanges(work.key_panel, d, low_, high_);
    MultiplyTile(work.queries, stride, work.key_panel, kBlockKeys, scores_ + first * tile.n_rows, kBlockKeys,
                 tile.n_rows, kBlockKeys, d, false);
  }
}

// The scores of a row that compete, in visible_; returns how many.
int64_t KeySample::GatherVisible(const Call& call, const Tile& tile, const Places& places, int64_t row) const {
  const RowId id = call.RowOf(tile, row);
  const Visibility& visible = call.VisibilityOf(id);
  const uint8_t* mask = visible.is_range ? nullptr : call.MaskOf(id);
  const float slope = call.SlopeOf(id.head);
  int64_t n_visible = 0;
  for (int64_t first = 0; first < places.count; first += kBlockKeys) {
    float* scores = scores_ + first * tile.n_rows + row * kBlockKeys;
    if (call.input.softcap > 0) Softcap(call.input.softcap, scores);
    for (int64_t j = 0; j < kBlockKeys; ++j) {
      const int64_t key = places.begin + (first + j) * places.step;
      const bool competes = key >= visible.sinks_end && key < visible.window_begin;
      scores[j] = competes ? scores[j] : -kInfinity;
      if (mask != nullptr && competes) scores[j] += slope * ReadNumber(call.input.mask.type, mask, key);
    }
    n_visible += Filter(scores, std::numeric_limits<float>::lowest(), 0, visible_ + n_visible, keys_ + n_visible);
  }
  return n_visible;
}

bool KeySample::PrepareInt8(const Call& call, const Tile& tile, const Workspace& work, Int8Tile& int8) const {
  const int64_t d = call.input.d_k;
  for (int64_t i = 0; i < d; ++i) {
    low_[i] = *std::min_element(low_ + i * kMaxLanes, low_ + (i + 1) * kMaxLanes);
    high_[i] = *std::max_element(high_ + i * kMaxLanes, high_ + (i + 1) * kMaxLanes);
  }
  return int8.Prepare(call, tile, work.queries, {low_, high_});
}

bool KeySample::Run(const Call& call, const Tile& tile, const Workspace& work, RowStart* starts, Int8Tile* int8) const {
  const Places places = Choose(call, tile);
  if (places.count == 0) return false;
  Score(call, tile, places, int8 != nullptr, work);
  bool use_int8 = int8 != nullptr && PrepareInt8(call, tile, work, *int8);
  int64_t n_seen = 0;
  int64_t n_surviving = 0;
  for (int64_t r = 0; r < tile.n_rows; ++r) {
    const Visibility& visible = call.VisibilityOf(call.RowOf(tile, r));
    const float* query = work.queries + r * PadToLanes(call.input.d_k);
    if (!Profits(call, visible) || visible.n_competing == 0) continue;
    if (IsTooCoarse(ScanError(query, work.magnitude, call.input.d_k, call.input.softcap))) {
      use_int8 = use_int8 && !call.SuitsInt8(visible);
      continue;
    }
    const int64_t n_visible = GatherVisible(call, tile, places, r);
    const auto guess =
        GuessFloor(visible_, n_visible, {n_visible, visible.n_competing}, call.LargestBudgetOf(visible), kDeviations);
    if (guess) starts[r].guess = *guess;
    if (!use_int8 || !call.SuitsInt8(visible)) continue;
    use_int8 = guess.has_value();
    const auto reach = static_cast<float>(static_cast<double>(starts[r].guess) - int8->TypicalError(r));
    n_seen += n_visible;
    n_surviving += Compact(reach, n_visible, visible_, keys_);
  }
  return use_int8 && n_surviving * kLeastKeysPerSurvivor <= n_seen;
}

}  // namespace topk
