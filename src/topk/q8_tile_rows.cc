#include "topk/q8_tile_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

#include "topk/numeric.h"

namespace topk {

namespace {

// Norms of all keys over the bound of a sample's, about.
constexpr double kHeadroom = 2.0;

}  // namespace

Q8TileRows Q8TileRows::Take(Carver& carver, const Call& call) {
  const int64_t n_rows = std::min(kTileRows, call.RowsPerHeadKv());
  const int64_t d = call.input.d_k;
  Q8TileRows rows;
  rows.high_ = carver.Take<int8_t>(n_rows * d);
  rows.low_ = carver.Take<int8_t>(n_rows * d);
  rows.high_sums_ = carver.Take<int32_t>(n_rows * d / kQ8BlockSize);
  rows.low_sums_ = carver.Take<int32_t>(n_rows * d / kQ8BlockSize);
  rows.scale_ = carver.Take<double>(n_rows);
  rows.norm_ = carver.Take<double>(n_rows);
  return rows;
}

// False if there is nothing to quantise.
bool Q8TileRows::QuantizeRow(int64_t d, int64_t row, const float* query) {
  const float largest = std::transform_reduce(
      query, query + d, 0.0F, [](float a, float b) { return std::max(a, b); }, [](float x) { return std::abs(x); });
  if (!(largest > 0) || !std::isfinite(largest)) return false;
  const double scale = static_cast<double>(largest) / kLargestQ8Number;
  const int64_t n_blocks = d / kQ8BlockSize;
  double residual = 0;
  double squares = 0;
  std::fill_n(high_sums_ + row * n_blocks, n_blocks, 0);
  std::fill_n(low_sums_ + row * n_blocks, n_blocks, 0);
  for (int64_t i = 0; i < d; ++i) {
    const double x = static_cast<double>(query[i]) / scale;
    const auto number = static_cast<int32_t>(std::nearbyint(x));
    const int32_t high = (number + 64) >> 7;  // rounded to the nearest, so that the rest is an int8
    const int32_t low = number - 128 * high;
    residual += (x - number) * (x - number);
    squares += static_cast<double>(number) * number;
    high_[row * d + i] = static_cast<int8_t>(high);
    low_[row * d + i] = static_cast<int8_t>(low);
    high_sums_[row * n_blocks + i / kQ8BlockSize] += high;
    low_sums_[row * n_blocks + i / kQ8BlockSize] += low;
  }
  scale_[row] = scale;
  const double roundings = static_cast<double>(n_blocks + 2) * 0x1p-24 * std::sqrt(squares);
  norm_[row] = (std::sqrt(residual) + roundings) * (1 + kThresholdRoundings);
  return true;
}

bool Q8TileRows::Prepare(int64_t d, int64_t n_rows, const float* queries, const KeyRanges& ranges, int32_t* magnitude) {
  double squares = 0;
  for (int64_t i = 0; i < d; ++i) {
    const double farthest = std::max(std::abs(ranges.low[i]), std::abs(ranges.high[i]));
    squares += farthest * farthest;
  }
  norm_limit_ = kHeadroom * std::sqrt(squares);
  if (!(norm_limit_ < 0x1p60)) return false;
  std::fill_n(magnitude, d, std::bit_cast<int32_t>(RoundUp(norm_limit_)));
  for (int64_t r = 0; r < n_rows; ++r) {
    if (!QuantizeRow(d, r, queries + r * PadToLanes(d))) return false;
  }
  return true;
}

void Q8TileRows::Load(const Call& call, std::span<const RowState> rows, const Int8Segment& segment) const {
  const int64_t d = call.input.d_k;
  const int64_t n_blocks = d / kQ8BlockSize;
  for (size_t slot = 0; slot < rows.size(); ++slot) {
    const int64_t r = call.RowInHeadKv(rows[slot].id);
    std::copy_n(high_ + r * d, d, segment.numbers + slot * d);
    std::copy_n(low_ + r * d, d, segment.low + slot * d);
    std::copy_n(high_sums_ + r * n_blocks, n_blocks, segment.high_sums + slot * n_blocks);
    std::copy_n(low_sums_ + r * n_blocks, n_blocks, segment.low_sums + slot * n_blocks);
  }
}

bool Q8TileRows::Pack(const KeyBlock& keys, int64_t d, int64_t block, const Int8Segment& segment) const {
  segment.norms[block] = PackQ8(keys, d, {segment.PanelAt(block), segment.scales + block * Q8PanelScales(d)});
  return segment.norms[block] <= norm_limit_;  // no NaN is
}

// A key can compete only if its score is not below
//   (reach - 2 error) / s - norm |k|
// with the largest |k| of its block; the roundings of a few operations are taken off. Twice the error is more than
// enough for the roundings of the f32 score and of q'.
void Q8TileRows::FindSurvivors(const Call& call, std::span<const RowState> rows, int64_t n_blocks,
                               const Int8Segment& segment) const {
  const int64_t d = call.input.d_k;
  const Q8Rows numbers = {segment.numbers, segment.low, segment.high_sums, segment.low_sums,
                          static_cast<int64_t>(rows.size())};
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (size_t slot = 0; slot < rows.size(); ++slot) {
      const int64_t r = call.RowInHeadKv(rows[slot].id);
      const double reach = static_cast<double>(rows[slot].candidates.ReachToCompete());
      const double least = (reach - 2.0 * static_cast<double>(rows[slot].candidates.error())) / scale_[r];
      const double error = norm_[r] * static_cast<double>(segment.norms[b]);
      const double threshold = least - error - kThresholdRoundings * (std::abs(least) + error);
      segment.thresholds[slot] = static_cast<float>(threshold);
    }
    const Q8Panel panel = {segment.PanelAt(b), segment.scales + b * Q8PanelScales(d)};
    ScanQ8(numbers, panel, d, segment.thresholds, segment.survivors.bits + b);
  }
}

}  // namespace topk
