#include "topk/gather.h"

#include <algorithm>
#include <cstring>

#include "topk/load/pack.h"
#include "topk/scan/scan.h"
#include "topk/select/select.h"

namespace topk {

Gather Gather::Take(Carver& carver) {
  Gather gather;
  gather.visible_ = VisibleKeysScratch::Take(carver);
  gather.mask_ = carver.Take<uint8_t>(RowBytes(DataType::kF32, kBlockKeys));
  gather.kept_scores_ = carver.Take<float>(kBlockKeys + kMaxLanes);
  gather.kept_keys_ = carver.Take<KeyIndex>(kBlockKeys + kMaxLanes);
  return gather;
}

// The mask's numbers of a block's keys, side by side.
void Gather::CopyMask(const Call& call, const uint8_t* mask, std::span<const KeyIndex> block) const {
  const auto copy = [&](auto* to) {
    for (size_t j = 0; j < block.size(); ++j) std::memcpy(to + j, mask + sizeof(*to) * block[j], sizeof(*to));
  };
  call.input.mask.type == DataType::kF16 ? copy(reinterpret_cast<uint16_t*>(mask_))
                                         : copy(reinterpret_cast<float*>(mask_));
}

// Offers the scores of the block's keys to a sparse row, as TilePart does with those of neighbours.
void Gather::OfferBlock(RowState& row, std::span<const KeyIndex> block, float* scores) const {
  if (row.measures_mass) AddToExpSum(scores, row.all);
  row.n_scored += static_cast<int64_t>(block.size());
  const auto place_of = [&](KeyIndex key) { return std::lower_bound(block.begin(), block.end(), key) - block.begin(); };
  HideOutside(place_of(row.visible->sinks_end), place_of(row.visible->window_begin), 0, scores);
  const int64_t n = Filter(scores, row.candidates.ReachToCompete(), 0, kept_scores_, kept_keys_);
  std::transform(kept_keys_, kept_keys_ + n, kept_keys_, [&](KeyIndex place) { return block[place]; });
  row.candidates.Append(kept_scores_, kept_keys_, n);
}

// The first `count` keys of `listed`; those that follow are next.
void Gather::ScanBlock(const Call& call, const Group& group, std::span<const KeyIndex> listed, int64_t count,
                       const Workspace& work) const {
  const int64_t d = call.input.d_k;
  const auto block = listed.first(static_cast<size_t>(count));
  if (PackListedKeys(group.keys, listed, count, d, work.key_panel, work.magnitude)) {
    UpdateErrors(call, work, group.rows);
  }
  const auto n_rows = static_cast<int64_t>(group.rows.size());
  MultiplyTile(work.queries, PadToLanes(d), work.key_panel, kBlockKeys, work.scores, kBlockKeys, n_rows, kBlockKeys, d,
               false);
  const bool has_biases = !group.rows[0].visible->is_zero;
  if (has_biases) CopyMask(call, group.rows[0].mask, block);
  float* scores = work.scores;
  for (RowState& row : group.rows) {
    if (call.input.softcap > 0) Softcap(call.input.softcap, scores);
    if (has_biases) AddMask(call.input.mask.type, mask_, row.slope, count, scores);
    HideOutside(0, row.is_canonical ? 0 : count, 0, scores);
    if (!row.is_dense && !row.is_canonical) OfferBlock(row, block, scores);
    scores += kBlockKeys;
  }
  if (!group.rows[0].is_dense) return;
  if (PackListedValues(group.values, listed, count, call.input.d_v, work.value_panel)) {
    AttendPanel(work, count, group.rows, group.sums, PadToLanes(call.input.d_v));
  } else {
    for (RowState& row : group.rows) row.is_canonical = true;
  }
}

void Gather::ScanGroup(const Call& call, const Group& group, int64_t begin, int64_t end, const Workspace& work) const {
  const Visibility& visible = *group.rows[0].visible;
  begin = std::max<int64_t>(begin, visible.begin);
  end = std::min<int64_t>(end, visible.end);
  if (begin >= end) return;
  const int64_t stride = PadToLanes(call.input.d_k);
  for (size_t r = 0; r < group.rows.size(); ++r) call.ScaleQuery(group.rows[r].id, work.queries + r * stride);
  std::fill_n(work.magnitude, stride, 0);
  UpdateErrors(call, work, group.rows);  // queries that are not finite, or keys that are all zero

  const auto first = static_cast<KeyIndex>(begin);
  const auto last = static_cast<KeyIndex>(end);
  VisibleKeys keys = visible.keys != nullptr
                         ? VisibleKeys(visible, first, last)
                         : VisibleKeys(visible_, call.input.mask.type, group.rows[0].mask, first, last);
  for (auto listed = keys.Peek(); !listed.empty(); listed = keys.Peek()) {
    const auto count = std::min<int64_t>(kBlockKeys, static_cast<int64_t>(listed.size()));
    ScanBlock(call, group, listed, count, work);
    keys.Skip(count);
  }
}

void Gather::Scan(const Call& call, int64_t batch, int64_t head_kv, int64_t begin, int64_t end, const Workspace& work,
                  const TilePart& part) const {
  const std::span<RowState> rows = part.gathered_rows();
  const size_t n_scanned = part.rows().size() - rows.size();
  for (size_t first = 0, last = 0; first < rows.size(); first = last) {
    while (last < rows.size() && rows[last].visible == rows[first].visible) ++last;
    const Group group = {.rows = rows.subspan(first, last - first),
                         .sums = part.sum(static_cast<int64_t>(n_scanned + first)),
                         .keys = call.KeysOf(batch, head_kv),
                         .values = call.ValuesOf(batch, head_kv)};
    ScanGroup(call, group, begin, end, work);
  }
}

}  // namespace topk
