#include "topk/survivors.h"

#include <algorithm>

#include "topk/load/pack.h"
#include "topk/scan/scan_integers.h"
#include "topk/scan/score_keys.h"
#include "topk/select/select.h"

namespace topk {

namespace {

// Bits of the keys of [begin, end) in the block that starts at first_key.
uint64_t RangeBits(int64_t begin, int64_t end, int64_t first_key) {
  const int64_t low = std::clamp<int64_t>(begin - first_key, 0, kBlockKeys);
  const int64_t high = std::clamp<int64_t>(end - first_key, low, kBlockKeys);
  return low == high ? 0 : ~uint64_t{0} >> (kBlockKeys - (high - low)) << low;
}

}  // namespace

Survivors Survivors::Take(Carver& carver, int64_t n_blocks) {
  return {.thresholds = carver.Take<int32_t>(n_blocks * kIntegerStride),
          .bits = carver.Take<uint64_t>(kIntegerStride * kSurvivorStride),
          .visible = carver.Take<uint64_t>(n_blocks),
          .listed = carver.Take<KeyIndex>(n_blocks * kBlockKeys + kMaxLanes),
          .scores = carver.Take<float>(n_blocks * kBlockKeys + kMaxLanes)};
}

void Survivors::DropHidden(const Call& call, const RowState& row, int64_t slot, int64_t first_key, int64_t n_blocks,
                           const uint8_t*& mask) const {
  if (row.mask == nullptr) return;
  if (row.mask != mask) {
    mask = row.mask;
    const int64_t end = std::min(first_key + n_blocks * kBlockKeys, call.input.n_key);
    FindVisibleBits(call.input.mask.type, mask, static_cast<KeyIndex>(first_key), static_cast<KeyIndex>(end), visible);
  }
  for (int64_t b = 0; b < n_blocks; ++b) bits[slot * kSurvivorStride + b] &= visible[b];
}

void Survivors::Offer(const TensorView& keys, int64_t d, int64_t first_key, int64_t end_key, int64_t n_blocks,
                      int64_t slot, const float* query, RowState& row) const {
  // Sinks and window are in anyway: they do not compete.
  const int64_t begin = row.visible->sinks_end;
  const int64_t end = std::min<int64_t>(row.visible->window_begin, end_key);
  const int64_t first = std::max<int64_t>(0, (begin - first_key) / kBlockKeys);
  const int64_t last = std::min(n_blocks, BlockCount(end - first_key));
  if (first >= last) return;
  const auto key_of = [&](int64_t block) { return first_key + block * kBlockKeys; };
  uint64_t* row_bits = bits + slot * kSurvivorStride;
  row_bits[first] &= RangeBits(begin, end, key_of(first));
  row_bits[last - 1] &= RangeBits(begin, end, key_of(last - 1));
  const int64_t n_listed = ListKeys(row_bits + first, last - first, static_cast<KeyIndex>(key_of(first)), listed);
  ScoreKeys(query, keys, d, {listed, static_cast<size_t>(n_listed)}, scores);
  row.n_scored += n_listed;
  row.candidates.Append(scores, listed, n_listed);
}

}  // namespace topk
