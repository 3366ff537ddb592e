#include "topk/transformed_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "topk/numeric.h"

namespace topk {

namespace {

// Ranges of all keys over those of a sample, about: with fewer bits for the usual keys, and more blocks that do not fit
// into int8, on either side of it.
constexpr float kHeadroom = 1.6F;

// Extremes of a sample are about three standard deviations off.
constexpr double kDeviationsOfRange = 3.0;

constexpr int kLargestExponent = 60;

// Rounded down to eight bits, so that it is a number of f16, too, and so are the factors.
float ToFewBits(float x) {
  int exponent = 0;
  const float mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::floor(mantissa * 0x1p8F), exponent - 8);
}

}  // namespace

TransformedRows TransformedRows::Take(Carver& carver, const Call& call) {
  const int64_t n_rows = std::min(kTileRows, call.RowsPerHeadKv());
  const int64_t padded = PadToRowChunks(call.input.d_k);
  TransformedRows rows;
  rows.factor_ = carver.Take<float>(padded);
  rows.centre_ = carver.Take<float>(padded);
  rows.numbers_ = carver.Take<int8_t>(n_rows * padded);
  rows.sums_ = carver.Take<int32_t>(n_rows);
  for (double** array : {&rows.offset_, &rows.scale_, &rows.norm_, &rows.residual_}) {
    *array = carver.Take<double>(n_rows);
  }
  return rows;
}

// f and c: powers of two balance the dimensions' ranges in keys and queries, one factor for all takes the widest to the
// range of int8.
bool TransformedRows::FindTransform(int64_t d, int64_t n_rows, const float* queries, const KeyRanges& ranges,
                                    int32_t* magnitude) {
  const auto& [low, high] = ranges;
  std::fill_n(factor_, PadToRowChunks(d), 0.0F);
  std::fill_n(centre_, PadToRowChunks(d), 0.0F);
  std::fill_n(magnitude, PadToLanes(d), 0);
  // A centre must stay an integer of limited size, even of a dimension that is the same for all sampled keys.
  const auto half_of = [&](int64_t i) {
    const float farthest = std::max(std::abs(low[i]), std::abs(high[i]));
    return std::max({0.5F * (high[i] - low[i]), farthest * (kLargestNumber / kLargestCentre), 0x1p-60F});
  };
  float widest = 0.0F;
  for (int64_t i = 0; i < d; ++i) {
    float squares = 0.0F;
    for (int64_t r = 0; r < n_rows; ++r) squares += queries[r * PadToLanes(d) + i] * queries[r * PadToLanes(d) + i];
    const float half = half_of(i);
    const float size = std::sqrt(squares / static_cast<float>(n_rows));
    if (!std::isfinite(half) || !std::isfinite(size)) return false;
    const float balance = 0.5F * (std::log2(std::max(size, 0x1p-60F)) - std::log2(half));
    const auto exponent = static_cast<int>(std::clamp<float>(std::round(balance), -kLargestExponent, kLargestExponent));
    factor_[i] = std::ldexp(1.0F, exponent);
    widest = std::max(widest, half * factor_[i]);
  }
  gain_ = ToFewBits(kLargestNumber / (kHeadroom * widest));
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
    magnitude[i] = std::bit_cast<int32_t>(largest * 1.0001F);
  }
  typical_norm_ = std::sqrt(squares);
  return true;
}

// x of a row, and x^ with what it leaves out. False if there is nothing to quantise.
bool TransformedRows::QuantizeRow(int64_t d, int64_t row, const float* query) {
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
  const double scale = largest / LargestQueryInt8();
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

bool TransformedRows::Prepare(int64_t d, int64_t n_rows, const float* queries, const KeyRanges& ranges,
                              int32_t* magnitude) {
  if (!FindTransform(d, n_rows, queries, ranges, magnitude)) return false;
  for (int64_t r = 0; r < n_rows; ++r) {
    if (!QuantizeRow(d, r, queries + r * PadToLanes(d))) return false;
  }
  return true;
}

double TransformedRows::TypicalError(int64_t row) const {
  return scale_[row] * (norm_[row] * typical_norm_ + residual_[row]);
}

void TransformedRows::Load(const Call& call, std::span<const RowState> rows, const Int8Segment& segment) const {
  const int64_t padded = PadToRowChunks(call.input.d_k);
  for (size_t slot = 0; slot < rows.size(); ++slot) {
    const int64_t r = call.RowInHeadKv(rows[slot].id);
    std::copy_n(numbers_ + r * padded, padded, segment.numbers + slot * padded);
    segment.sums[slot] = sums_[r];
  }
  std::fill_n(segment.ones, Int8Segment::kSegmentBlocks, 1.0F);
}

bool TransformedRows::Pack(const KeyBlock& keys, int64_t d, int64_t block, const Int8Segment& segment) const {
  const int32_t squares = QuantizeRows(keys, d, factor_, centre_, segment.PanelAt(block));
  if (squares < 0) return false;
  segment.norms[block] = RoundUp(std::sqrt(static_cast<double>(squares)));
  return true;
}

// What a key's dot product must reach, given that its score is to reach the floor or the guess. Twice the error is more
// than enough for the roundings of the f32 score, of q' and of the offset.
void TransformedRows::FindBounds(const Call& call, std::span<const RowState> rows, const RowBounds& bounds) const {
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

void TransformedRows::FindSurvivors(const Call& call, std::span<const RowState> rows, int64_t n_blocks,
                                    const Int8Segment& segment) const {
  const auto n_rows = static_cast<int64_t>(rows.size());
  FindBounds(call, rows, segment.bounds);
  FindThresholds(segment.bounds, n_rows, {segment.ones, segment.norms, segment.ones}, n_blocks,
                 segment.survivors.thresholds);
  ScanIntegers({segment.numbers, segment.sums, n_rows}, segment.panels, n_blocks, PadToRowChunks(call.input.d_k),
               segment.survivors.thresholds, segment.survivors.bits);
}

}  // namespace topk
