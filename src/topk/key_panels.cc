#include "topk/key_panels.h"

#include <algorithm>
#include <bit>

namespace topk {

namespace {

constexpr int64_t kChunkBlocks = 4;  // blocks a task
constexpr int64_t kMostKeysBeforeIntegers = 2048;

bool SplitsKeys(const Call& call) { return CanScanSplit() && call.RowsPerHeadKv() >= kSplitRows; }

static_assert(kTileRows % kSplitRows == 0);  // rows that fill up the last group of a tile have their room

}  // namespace

KeyPanels::KeyPanels(Carver& carver, const Call& call, int n_workers)
    : call_(call),
      n_blocks_(BlockCount(call.input.n_key)),
      n_chunks_((n_blocks_ + kChunkBlocks - 1) / kChunkBlocks),
      is_split_(SplitsKeys(call)) {
  const int64_t total = call.input.n_batch * call.input.n_head_kv * n_blocks_;
  panels_ = carver.Take<float>((is_split_ ? n_workers : total) * call.input.d_k * kBlockKeys);
  if (is_split_) split_ = carver.Take<uint16_t>(total * SplitPanelSize(call.input.d_k));
  magnitudes_ = carver.Take<int32_t>(total * PadToLanes(call.input.d_k));
}

bool KeyPanels::AreFasterThanIntegers(const Call& call) {
  return SplitsKeys(call) && call.input.n_key <= kMostKeysBeforeIntegers;
}

void KeyPanels::PackChunk(int64_t index, int worker) const {
  const int64_t d = call_.input.d_k;
  const int64_t batch = index / n_chunks_ / call_.input.n_head_kv;
  const int64_t head_kv = index / n_chunks_ % call_.input.n_head_kv;
  const TensorView keys = call_.KeysOf(batch, head_kv);
  const int64_t begin = index % n_chunks_ * kChunkBlocks * kBlockKeys;
  const int64_t end = std::min(begin + kChunkBlocks * kBlockKeys, call_.input.n_key);
  for (int64_t first = begin; first < end; first += kBlockKeys) {
    const int64_t block = BlockOf(batch, head_kv, first);
    int32_t* magnitude = magnitudes_ + block * PadToLanes(d);
    std::fill_n(magnitude, PadToLanes(d), 0);
    float* panel = panels_ + (is_split_ ? worker : block) * d * kBlockKeys;
    PackKeys(keys, first, std::min(kBlockKeys, end - first), d, panel, magnitude);
    if (is_split_) SplitPanel(panel, d, split_ + block * SplitPanelSize(d));
  }
}

void KeyPanels::Run(const Executor& executor) {
  const ParallelTask pack = [](void* opaque, int64_t index, int worker) {
    static_cast<const KeyPanels*>(opaque)->PackChunk(index, worker);
  };
  executor.parallel_for(executor.context, call_.input.n_batch * call_.input.n_head_kv * n_chunks_, pack, this);
}

void KeyPanels::Prepare(const Queries& queries) const {
  const int64_t d = call_.input.d_k;
  if (is_split_) SplitRows(queries.rows, PadToLanes(d), queries.n_rows, d, queries.parts);
}

void KeyPanels::Multiply(int64_t batch, int64_t head_kv, int64_t first_key, const Queries& queries, int64_t first_row,
                         int64_t end_row, float* scores, int64_t stride) const {
  const int64_t d = call_.input.d_k;
  const int64_t block = BlockOf(batch, head_kv, first_key);
  if (!is_split_) {
    return MultiplyTile(queries.rows + first_row * PadToLanes(d), PadToLanes(d), panels_ + block * d * kBlockKeys,
                        kBlockKeys, scores, stride, end_row - first_row, kBlockKeys, d, false);
  }
  const auto whole = [](int64_t rows) { return (rows + kSplitRows - 1) / kSplitRows * kSplitRows; };
  const int64_t first = first_row / kSplitRows * kSplitRows;
  MultiplySplit(queries.parts, whole(queries.n_rows), split_ + block * SplitPanelSize(d), d, first, whole(end_row),
                scores - (first_row - first) * stride, stride);
}

void KeyPanels::FindMagnitude(int64_t batch, int64_t head_kv, int64_t begin, int64_t end, int32_t* magnitude) const {
  const int64_t stride = PadToLanes(call_.input.d_k);
  std::fill_n(magnitude, stride, 0);
  for (int64_t first = begin; first < end; first += kBlockKeys) {
    const int32_t* block = magnitudes_ + BlockOf(batch, head_kv, first) * stride;
    for (int64_t i = 0; i < stride; ++i) magnitude[i] = std::max(magnitude[i], block[i]);
  }
  if (is_split_) {
    constexpr auto kLeast = std::bit_cast<int32_t>(kLeastSplitMagnitude);
    for (int64_t i = 0; i < call_.input.d_k; ++i) magnitude[i] = std::max(magnitude[i], kLeast);
  }
}

}  // namespace topk
