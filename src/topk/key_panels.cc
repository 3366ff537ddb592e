#include "topk/key_panels.h"

#include <algorithm>

namespace topk {

namespace {

constexpr int64_t kChunkBlocks = 4;  // blocks a task

}  // namespace

KeyPanels::KeyPanels(Carver& carver, const Call& call)
    : call_(call), n_blocks_(BlockCount(call.input.n_key)), n_chunks_((n_blocks_ + kChunkBlocks - 1) / kChunkBlocks) {
  const int64_t total = call.input.n_batch * call.input.n_head_kv * n_blocks_;
  panels_ = carver.Take<float>(total * call.input.d_k * kBlockKeys);
  magnitudes_ = carver.Take<int32_t>(total * PadToLanes(call.input.d_k));
}

void KeyPanels::PackChunk(int64_t index) const {
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
    PackKeys(keys, first, std::min(kBlockKeys, end - first), d, panels_ + block * d * kBlockKeys, magnitude);
  }
}

void KeyPanels::Run(const Executor& executor) {
  const ParallelTask pack = [](void* opaque, int64_t index, int /*worker*/) {
    static_cast<const KeyPanels*>(opaque)->PackChunk(index);
  };
  executor.parallel_for(executor.context, call_.input.n_batch * call_.input.n_head_kv * n_chunks_, pack, this);
}

void KeyPanels::FindMagnitude(int64_t batch, int64_t head_kv, int64_t begin, int64_t end, int32_t* magnitude) const {
  const int64_t stride = PadToLanes(call_.input.d_k);
  std::fill_n(magnitude, stride, 0);
  for (int64_t first = begin; first < end; first += kBlockKeys) {
    const int32_t* block = magnitudes_ + BlockOf(batch, head_kv, first) * stride;
    for (int64_t i = 0; i < stride; ++i) magnitude[i] = std::max(magnitude[i], block[i]);
  }
}

}  // namespace topk
