#include "topk/call.h"

#include <hwy/cache_control.h>

#include <algorithm>

#include "topk/carver.h"
#include "topk/load/pack.h"
#include "topk/visibility/visible_keys.h"

namespace topk {

Tile Call::TileAt(int64_t index) const {
  const int64_t per_head = TilesPerHeadKv();
  const int64_t head = index / per_head;
  const int64_t first_row = index % per_head * kTileRows;
  return {head / input.n_head_kv, head % input.n_head_kv, first_row, std::min(kTileRows, RowsPerHeadKv() - first_row)};
}

void Call::PrefetchQuery(const RowId& row) const {
  constexpr int64_t kLineNumbers = kCacheLineBytes / sizeof(float);
  const float* query = QueryOf(row);
  for (int64_t i = 0; i < input.d_k; i += kLineNumbers) hwy::Prefetch(query + i);
}

void Call::ScaleQuery(const RowId& row, float* scaled) const {
  const auto scale = static_cast<float>(rule.scale);
  const float* query = QueryOf(row);
  std::transform(query, query + input.d_k, scaled, [scale](float x) { return x * scale; });
  std::fill(scaled + input.d_k, scaled + PadToLanes(input.d_k), 0.0F);
}

void Call::FindVisibilityAt(int64_t index) {
  const int64_t query = index % input.n_query;
  const int64_t mask_head = index / input.n_query % MaskHeads();
  const int64_t mask_batch = index / input.n_query / MaskHeads();
  const int64_t causal_end = std::clamp<int64_t>(input.n_key - input.n_query + query + 1, 0, input.n_key);
  const int64_t end = input.causal ? causal_end : input.n_key;
  const uint8_t* mask = HasMask() ? input.mask.Row(mask_batch, mask_head, query) : nullptr;
  const auto last = static_cast<KeyIndex>(end);
  const int64_t most = MostListed();
  visibilities_[index] = most == 0 ? FindVisibility(input.mask.type, mask, last, options.sinks, options.window)
                                   : ListVisibility(input.mask.type, mask, last, options.sinks, options.window, most,
                                                    listed_ + index * ListCapacity(most));
}

int64_t Call::ListedKeys() const { return MostListed() == 0 ? 0 : VisibilityCount() * ListCapacity(MostListed()); }

int64_t Call::KeysOfWork() const {
  constexpr int64_t kKeysPerListed =
      8;  // about kGatherOrScanInt8.many: two blocks are worth the smallest chunk of decode
  return MostListed() == 0 ? input.n_key : std::min(input.n_key, kKeysPerListed * MostListed());
}

int64_t Call::MaxSelected() const {
  const int64_t forced = std::min(options.sinks, input.n_key) + std::min(options.window, input.n_key);
  return std::min(std::min(LargestBudget(), input.n_key) + forced, input.n_key);
}

}  // namespace topk
