#include "topk/int8_tile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "topk/load/pack.h"
#include "topk/numeric.h"
#include "topk/quantize/quantize_rows.h"
#include "topk/scan/scan.h"

namespace topk {

namespace {

// Ranges of all keys over those of a sample, about: with fewer bits for the usual keys, and more blocks that do not fit
// into int8, on either side of it.
constexpr float kHeadroom = 1.6F;

// Extremes of a sample are about three standard deviations off.
constexpr double kDeviationsOfRange = 3.0;

constexpr int kLargestExponent = 60;

}  // namespace

Int8Segment Int8Segment::Take(Carver& carver, const Call& call) {
  const int64_t padded = PadToRowChunks(call.input.d_k);
  Int8Segment segment;
  segment.panels = carver.Take<uint8_t>(kSegmentBlocks * QuantizedPanelBytes(padded));
  segment.norms = carver.Take<float>(kSegmentBlocks);
  segment.ones = carver.Take<float>(kSegmentBlocks);
  segment.numbers = carver.Take<int8_t>(kTileRows * padded);
  segment.sums = carver.Take<int32_t>(kTileRows);
  segment.bounds = {carver.Take<float>(kTileRows), carver.Take<float>(kTileRows), carver.Take<float>(kTileRows)};
  segment.survivors = Survivors::Take(carver, kSegmentBlocks);
  return segment;
}

Int8Tile Int8Tile::Take(Carver& carver, const Call& call) {
  const int64_t n_rows = std::min(kTileRows, call.RowsPerHeadKv());
  const int64_t d = call.input.d_k;
  Int8Tile tile;
  tile.factor_ = carver.Take<float>(PadToRowChunks(d));
  tile.centre_ = carver.Take<float>(PadToRowChunks(d));
  tile.magnitude_ = carver.Take<int32_t>(PadToLanes(d));
  tile.queries_ = carver.Take<float>(n_rows * PadToLanes(d));
  tile.numbers_ = carver.Take<int8_t>(n_rows * PadToRowChunks(d));
  tile.sums_ = carver.Take<int32_t>(n_rows);
  for (double** array : {&tile.offset_, &tile.scale_, &tile.norm_, &tile.residual_}) {
    *array = carver.Take<double>(n_rows);
  }
  tile.error_ = carver.Take<float>(n_rows);
  return tile;
}

// f and c: powers of two balance the dimensions' ranges in keys and queries, one factor for all takes the widest to the
// range of int8.
bool Int8Tile::FindTransform(int64_t d, int64_t n_rows, const float* low, const float* high) {
  std::fill_n(factor_, PadToRowChunks(d), 0.0F);
  std::fill_n(centre_, PadToRowChunks(d), 0.0F);
  std::fill_n(magnitude_, PadToLanes(d), 0);
  // A centre must stay an integer of limited size, even of a dimension that is the same for all sampled keys.
  const auto half_of = [&](int64_t i) {
    const float farthest = std::max(std::abs(low[i]), std::abs(high[i]));
    return std::max({0.5F * (high[i] - low[i]), farthest * (kLargestNumber / kLargestCentre), 0x1p-60F});
  };
  float widest = 0.0F;
  for (int64_t i = 0; i < d; ++i) {
    float squares = 0.0F;
    for (int64_t r = 0; r < n_rows; ++r) squares += queries_[r * PadToLanes(d) + i] * queries_[r * PadToLanes(d) + i];
    const float half = half_of(i);
    const float size = std::sqrt(squares / static_cast<float>(n_rows));
    if (!std::isfinite(half) || !std::isfinite(size)) return false;
    const float balance = 0.5F * (std::log2(std::max(size, 0x1p-60F)) - std::log2(half));
    const auto exponent = static_cast<int>(std::clamp<float>(std::round(balance), -kLargestExponent, kLargestExponent));
    factor_[i] = std::ldexp(1.0F, exponent);
    widest = std::max(widest, half * factor_[i]);
  }
  gain_ = kLargestNumber / (kHeadroom * widest);
  const bool is_usable = gain_ > 0x1p-60F && gain_ < 0x1p60F;  // a number, then
  if (!is_usable) return false;
  double squares = 0;
  for (int64_t i = 0; i < d; ++i) {
    const double deviation = 0.5 * (high[i] - low[i]) * factor_[i] * gain_ / kDeviationsOfRange;
    squares += deviation * deviation;
    factor_[i] *= gain_;
    centre_[i] = std::round(0.5F * (low[i] + high[i]) * factor_[i]);
    if (!(std::abs(centre_[i]) <= kLargestCentre)) return false;
    const float largest = (std::abs(centre_[i]) + kLargestNumber + 2.0F) / factor_[i];
    magnitude_[i] = std::bit_cast<int32_t>(largest * 1.0001F);
  }
  typical_norm_ = std::sqrt(squares);
  return true;
}

// x of a row, and x^ with what it leaves out. False if there is nothing to quantise.
bool Int8Tile::QuantizeRow(int64_t d, int64_t row) {
  const float* query = queries_ + row * PadToLanes(d);
  const auto x_of = [&](int64_t i) {
    return i < d ? static_cast<double>(query[i]) * static_cast<double>(gain_) / static_cast<double>(factor_[i]) : 0.0;
  };
  double largest = 0;
  double total = 0;
  double offset = 0;
  for (int64_t i = 0; i < d; ++i) {
    const double x = x_of(i);
    largest = std::max(largest, std::abs(x));
    total += std::abs(x);
    offset += x * static_cast<double>(centre_[i]);
  }
  if (!(largest > 0) || !std::isfinite(largest)) return false;
  const double scale = largest / 127.0;
  double squares = 0;
  int32_t sum = 0;
  int8_t* numbers = numbers_ + row * PadToRowChunks(d);
  for (int64_t g = 0; g < PadToRowChunks(d) / kGroup; ++g) {
    for (int64_t m = 0; m < kGroup; ++m) {
      const double x = x_of(NumberAt(g, m)) / scale;
      const double number = std::nearbyint(x);
      squares += (x - number) * (x - number);
      sum += static_cast<int32_t>(number);
      numbers[g * kGroup + m] = static_cast<int8_t>(number);
    }
  }
  sums_[row] = sum;
  offset_[row] = offset / static_cast<double>(gain_);
  scale_[row] = scale / static_cast<double>(gain_);
  norm_[row] = std::sqrt(squares) * (1 + kThresholdRoundings);
  residual_[row] = static_cast<double>(kRowResidual) * total / scale * (1 + kThresholdRoundings);
  return true;
}

bool Int8Tile::Prepare(const Call& call, const Tile& tile, const float* queries, const float* low, const float* high) {
  const int64_t d = call.input.d_k;
  std::copy_n(queries, tile.n_rows * PadToLanes(d), queries_);
  if (!FindTransform(d, tile.n_rows, low, high)) return false;
  for (int64_t r = 0; r < tile.n_rows; ++r) {
    error_[r] = ScanError(queries_ + r * PadToLanes(d), magnitude_, d, 0.0F);
    if (IsTooCoarse(error_[r]) || !QuantizeRow(d, r)) return false;
  }
  return true;
}

double Int8Tile::TypicalError(int64_t row) const { return scale_[row] * (norm_[row] * typical_norm_ + residual_[row]); }

// What a key's dot product must reach, given that its score is to reach the floor or the guess. Twice the error is more
// than enough for the roundings of the f32 score, of q' and of the offset.
void Int8Tile::FindBounds(const Call& call, std::span<const RowState> rows, const RowBounds& bounds) const {
  for (size_t slot = 0; slot < rows.size(); ++slot) {
    const int64_t r = call.RowInHeadKv(rows[slot].id);
    const double reach = static_cast<double>(rows[slot].candidates.ReachToCompete());
    const double least = reach - 2.0 * static_cast<double>(rows[slot].candidates.error()) -
                         kThresholdRoundings * (std::abs(reach) + std::abs(offset_[r]));
    bounds.least[slot] = RoundDown((least - offset_[r]) / scale_[r]);
    bounds.norm[slot] = RoundUp(norm_[r]);
    bounds.error[slot] = RoundUp(residual_[r]);
  }
}

void Int8Tile::Scan(const Call& call, const Tile& tile, TilePart& part, int64_t begin, int64_t end,
                    const Workspace& work, const Int8Segment& segment) const {
  const std::span<RowState> rows = part.int8_rows();
  const int64_t d = call.input.d_k;
  const int64_t padded = PadToRowChunks(d);
  const auto n_rows = static_cast<int64_t>(rows.size());
  int64_t first_key = call.input.n_key;
  int64_t last_key = 0;
  for (int64_t slot = 0; slot < n_rows; ++slot) {
    RowState& row = rows[slot];
    const int64_t r = call.RowInHeadKv(row.id);
    std::copy_n(numbers_ + r * padded, padded, segment.numbers + slot * padded);
    segment.sums[slot] = sums_[r];
    row.candidates.SetError(error_[r]);
    first_key = std::min<int64_t>(first_key, row.visible->sinks_end);
    last_key = std::max<int64_t>(last_key, row.visible->window_begin);
  }
  std::fill_n(segment.ones, Int8Segment::kSegmentBlocks, 1.0F);
  const TensorView keys = call.KeysOf(tile.batch, tile.head_kv);
  last_key = std::min(last_key, end);
  for (first_key = std::max(first_key, begin); first_key < last_key;) {
    int64_t n_blocks = 0;
    int64_t next = first_key;
    bool fits = true;
    for (; n_blocks < Int8Segment::kSegmentBlocks && next < last_key && fits; next += kBlockKeys) {
      const int32_t squares = QuantizeRows(keys, next, std::min(kBlockKeys, last_key - next), d, factor_, centre_,
                                           segment.panels + n_blocks * QuantizedPanelBytes(padded));
      fits = squares >= 0;
      if (fits) segment.norms[n_blocks++] = RoundUp(std::sqrt(static_cast<double>(squares)));
    }
    FindBounds(call, rows, segment.bounds);
    FindThresholds(segment.bounds, n_rows, {segment.ones, segment.norms, segment.ones}, n_blocks,
                   segment.survivors.thresholds);
    ScanIntegers({segment.numbers, segment.sums, n_rows}, segment.panels, n_blocks, padded,
                 segment.survivors.thresholds, segment.survivors.bits);
    const uint8_t* mask = nullptr;
    for (int64_t slot = 0; slot < n_rows; ++slot) {
      if (rows[slot].is_canonical) continue;  // a block that does not fit has shown that it must be
      segment.survivors.DropHidden(call, rows[slot], slot, first_key, n_blocks, mask);
      const float* query = queries_ + call.RowInHeadKv(rows[slot].id) * PadToLanes(d);
      segment.survivors.Offer(keys, d, first_key, last_key, n_blocks, slot, query, rows[slot]);
    }
    first_key = next;
    if (fits) continue;
    // The last block does not fit into int8.
    part.Scan(call, tile.batch, tile.head_kv, rows, next - kBlockKeys, std::min(next, last_key), work);
  }
}

}  // namespace topk
