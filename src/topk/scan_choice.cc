#include "topk/scan_choice.h"

#include <algorithm>
#include <numeric>

#include "topk/load/pack.h"
#include "topk/scan/scan_integers.h"

namespace topk {

namespace {

// Rows of the sample: two register tiles. Blocks: one in so many, up to as many as a guess is made from.
constexpr int64_t kSampledRows = 2 * kIntegerRows;
constexpr int64_t kBlocksPerSampled = 4;

// Costs in the time that an f32 scan takes for a key and a row, about.
constexpr double kCostOfSurvivor = 3.0;   // reading and scoring a key on its own
constexpr double kCostOfQuantizing = 20;  // once for all rows
constexpr double kCostOfF32 = 1.0;

}  // namespace

ScanChoice ScanChoice::Take(Carver& carver, const Call& call) {
  constexpr int64_t kBlocks = IntegerScan::kMostSampledBlocks;
  ScanChoice choice;
  choice.rows_ = carver.Take<RowState>(kSampledRows);
  choice.blocks_ = carver.Take<int64_t>(kBlocks);
  choice.sample_.magnitude = carver.Take<int32_t>(PadToLanes(call.input.d_k));
  choice.sample_.panels = carver.Take<uint8_t>(kBlocks * QuantizedPanelBytes(call.input.d_k, NumberWidth::kInt16));
  for (float** fact : {&choice.sample_.scale, &choice.sample_.inverse_scale, &choice.sample_.scaled_norm,
                       &choice.sample_.scaled_error}) {
    *fact = carver.Take<float>(kBlocks);
  }
  return choice;
}

// Rows of the head, evenly spread, but for those that no integer scan suits.
void ScanChoice::ChooseRows(const Call& call, int64_t index) {
  const int64_t first_tile = index * call.TilesPerHeadKv();
  Tile head = call.TileAt(first_tile);
  head.n_rows = call.RowsPerHeadKv();
  n_rows_ = 0;
  for (int64_t s = 0; s < kSampledRows; ++s) {
    const RowId id = call.RowOf(head, s * head.n_rows / kSampledRows);
    const Visibility& visible = call.VisibilityOf(id);
    if (call.RunsDense(visible) || !call.SuitsInt8(visible)) continue;
    RowState& row = *std::construct_at(rows_ + n_rows_++);
    row.id = id;
    row.visible = &visible;
    row.mask = visible.is_range ? nullptr : call.MaskOf(id);
  }
}

// The cost of an integer scan of the head, in that of an f32 scan, but for the keys that it leaves: the sampled rows
// stand for all.
double ScanChoice::FixedCost(const Call& call, NumberWidth width) const {
  const int64_t n_seen = std::accumulate(rows_, rows_ + n_rows_, int64_t{0},
                                         [](int64_t sum, const RowState& row) { return sum + row.visible->count; });
  const auto n = static_cast<double>(n_rows_);
  const double n_scanned = static_cast<double>(call.RowsPerHeadKv()) * n / static_cast<double>(kSampledRows);
  return CostOfProduct(width) + kCostOfQuantizing / n_scanned + CostOfIntegerRow() * n / static_cast<double>(n_seen);
}

bool ScanChoice::MayTakeIntegers(const Call& call, int64_t index) {
  ChooseRows(call, index);
  return n_rows_ > 0 && call.input.n_key >= kBlockKeys && FixedCost(call, NumberWidth::kInt8) < kCostOfF32;
}

std::optional<NumberWidth> ScanChoice::Run(const Call& call, const QuantizedKeys& keys, int64_t index,
                                           IntegerScan& scan, int worker) {
  const int64_t n_whole = call.input.n_key / kBlockKeys;
  const int64_t n_blocks = std::clamp<int64_t>(n_whole / kBlocksPerSampled, 1, IntegerScan::kMostSampledBlocks);
  for (int64_t s = 0; s < n_blocks; ++s) blocks_[s] = s * n_whole / n_blocks;
  const std::span<const int64_t> blocks(blocks_, static_cast<size_t>(n_blocks));

  std::optional<NumberWidth> best;
  double least = kCostOfF32;
  for (const NumberWidth width : {NumberWidth::kInt8, NumberWidth::kInt16}) {
    const double fixed = FixedCost(call, width);
    if (fixed >= least) continue;
    keys.QuantizeSample(index, width, blocks, sample_, worker);
    const auto share = scan.ShareOfSurvivors(call, sample_, blocks, {rows_, static_cast<size_t>(n_rows_)});
    if (!share) return NumberWidth::kInt8;  // a tile that finds it too coarse takes f32
    const double cost = fixed + kCostOfSurvivor * *share;
    if (cost >= least) continue;
    least = cost;
    best = width;
  }
  return best;
}

}  // namespace topk
