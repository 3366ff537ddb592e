#include "topk/quantized_keys.h"

#include <algorithm>
#include <cmath>

namespace topk {

namespace {

// Blocks of keys, and about as many queries, that mean and deviations are taken from. Any numbers would be right; good
// ones leave fewer keys to be scored again.
constexpr int64_t kSampleBlocks = 16;
constexpr int64_t kSampleQueries = 64;
constexpr int64_t kChunkBlocks = 16;  // blocks a task
constexpr int kLargestExponent = 10;  // of E

}  // namespace

NumberWidth QuantizedKeys::WidestOf(const Call& call) {
  return call.options.scan == ScanMode::kInt8 ? NumberWidth::kInt8 : NumberWidth::kInt16;
}

QuantizedKeys::QuantizedKeys(Carver& carver, const Call& call, int n_workers)
    : call_(call), n_blocks_(BlockCount(call.input.n_key)), n_chunks_((n_blocks_ + kChunkBlocks - 1) / kChunkBlocks) {
  const int64_t d = call.input.d_k;
  heads_ = carver.Take<QuantizedHead>(HeadCount());
  for (int64_t h = 0; h < HeadCount(); ++h) {
    QuantizedHead head;
    head.width = WidestOf(call);
    head.mean = carver.Take<float>(d);
    head.equalise = carver.Take<float>(d);
    head.inverse = carver.Take<float>(d);
    head.magnitude = carver.Take<int32_t>(PadToLanes(d));
    head.panels = carver.Take<uint8_t>(n_blocks_ * QuantizedPanelBytes(d, *head.width));
    for (float** fact : {&head.scale, &head.inverse_scale, &head.scaled_norm, &head.scaled_error}) {
      *fact = carver.Take<float>(n_blocks_);
    }
    if (heads_ != nullptr) std::construct_at(heads_ + h, head);
  }
  magnitudes_ = carver.Take<int32_t>(HeadCount() * n_chunks_ * PadToLanes(d));
  panels_ = carver.Take<float>(n_workers * d * kBlockKeys);
}

// Mean and deviation of each dimension over a sample of the keys; E balances keys and queries.
void QuantizedKeys::FindTransform(int64_t index, int worker) const {
  const AttentionInput& input = call_.input;
  const int64_t d = input.d_k;
  const QuantizedHead& head = heads_[index];
  const int64_t batch = index / input.n_head_kv;
  const int64_t head_kv = index % input.n_head_kv;
  const TensorView keys = call_.KeysOf(batch, head_kv);
  float* panel = panels_ + worker * d * kBlockKeys;

  std::fill_n(head.magnitude, PadToLanes(d), 0);
  std::fill_n(head.mean, d, 0.0F);
  std::fill_n(head.equalise, d, 0.0F);  // squares, for now
  const int64_t n_sampled = std::min(n_blocks_, kSampleBlocks);
  int64_t n_keys = 0;
  for (int64_t s = 0; s < n_sampled; ++s) {
    const int64_t first = s * n_blocks_ / n_sampled * kBlockKeys;
    const int64_t count = std::min(kBlockKeys, input.n_key - first);
    PackKeys(keys, first, count, d, panel, head.magnitude);
    for (int64_t i = 0; i < d; ++i) {
      const float* row = panel + i * kBlockKeys;
      float sum = 0.0F;
      float squares = 0.0F;
      for (int64_t j = 0; j < count; ++j) {
        sum += row[j];
        squares += row[j] * row[j];
      }
      head.mean[i] += sum;
      head.equalise[i] += squares;
    }
    n_keys += count;
  }
  std::fill_n(head.inverse, d, 0.0F);  // squares of queries, for now
  const int64_t n_rows = call_.RowsPerHeadKv();
  const int64_t step = std::max<int64_t>(1, n_rows / kSampleQueries);
  int64_t n_queries = 0;
  for (int64_t r = 0; r < n_rows; r += step, ++n_queries) {
    const float* query = call_.QueryOf({batch, r / call_.group, head_kv * call_.group + r % call_.group});
    for (int64_t i = 0; i < d; ++i) head.inverse[i] += query[i] * query[i];
  }
  for (int64_t i = 0; i < d; ++i) {
    const float mean = head.mean[i] / static_cast<float>(n_keys);
    const float key_variance = head.equalise[i] / static_cast<float>(n_keys) - mean * mean;
    const float query_square = head.inverse[i] / static_cast<float>(n_queries);
    int exponent = 0;
    if (key_variance > 0 && query_square > 0 && std::isfinite(key_variance) && std::isfinite(query_square)) {
      // E^2 = deviation of q / deviation of k
      const float balance = std::round(0.25F * (std::log2(query_square) - std::log2(key_variance)));
      exponent = static_cast<int>(std::clamp<float>(balance, -kLargestExponent, kLargestExponent));
    }
    head.mean[i] = mean;
    head.equalise[i] = std::ldexp(1.0F, exponent);
    head.inverse[i] = std::ldexp(1.0F, -exponent);
  }
}

// Block `block` of a head as number `slot` of `to`.
void QuantizedKeys::QuantizeBlock(int64_t index, NumberWidth width, int64_t block, const QuantizedHead& to,
                                  int64_t slot, int32_t* magnitude, int worker) const {
  const AttentionInput& input = call_.input;
  const int64_t d = input.d_k;
  const QuantizedHead& head = heads_[index];
  const TensorView keys = call_.KeysOf(index / input.n_head_kv, index % input.n_head_kv);
  float* panel = panels_ + worker * d * kBlockKeys;
  const int64_t count = std::min(kBlockKeys, input.n_key - block * kBlockKeys);
  PackKeys(keys, block * kBlockKeys, count, d, panel, magnitude);
  TransformPanel(panel, d, head.mean, head.equalise, 1.0F);
  // Keys that are not there must not widen the block's scale.
  for (int64_t i = 0; i < d && count < kBlockKeys; ++i) {
    std::fill(panel + i * kBlockKeys + count, panel + (i + 1) * kBlockKeys, 0.0F);
  }
  const BlockFacts facts = QuantizeKeys(width, panel, d, to.panels + slot * QuantizedPanelBytes(d, width));
  to.scale[slot] = facts.scale;
  to.inverse_scale[slot] = 1.0F / facts.scale;
  to.scaled_norm[slot] = facts.norm / facts.scale;
  to.scaled_error[slot] = facts.error / facts.scale;
}

void QuantizedKeys::QuantizeSample(int64_t index, NumberWidth width, std::span<const int64_t> blocks,
                                   QuantizedHead& sample, int worker) const {
  const QuantizedHead& head = heads_[index];
  sample.width = width;
  sample.mean = head.mean;
  sample.equalise = head.equalise;
  sample.inverse = head.inverse;
  std::fill_n(sample.magnitude, PadToLanes(call_.input.d_k), 0);
  for (size_t slot = 0; slot < blocks.size(); ++slot) {
    QuantizeBlock(index, width, blocks[slot], sample, static_cast<int64_t>(slot), sample.magnitude, worker);
  }
}

void QuantizedKeys::QuantizeChunk(int64_t index, int64_t chunk, int worker) const {
  const int64_t stride = PadToLanes(call_.input.d_k);
  int32_t* magnitude = magnitudes_ + (index * n_chunks_ + chunk) * stride;
  std::fill_n(magnitude, stride, 0);
  const std::optional<NumberWidth> width = heads_[index].width;
  if (!width) return;
  const int64_t end = std::min((chunk + 1) * kChunkBlocks, n_blocks_);
  for (int64_t b = chunk * kChunkBlocks; b < end; ++b)
    QuantizeBlock(index, *width, b, heads_[index], b, magnitude, worker);
}

int64_t QuantizedKeys::WidthCount() const {
  return std::count_if(heads_, heads_ + HeadCount(), [](const QuantizedHead& head) { return head.width.has_value(); });
}

void QuantizedKeys::Run(const Executor& executor) {
  const ParallelTask quantize = [](void* opaque, int64_t index, int worker) {
    const QuantizedKeys& self = *static_cast<QuantizedKeys*>(opaque);
    self.QuantizeChunk(index / self.n_chunks_, index % self.n_chunks_, worker);
  };
  executor.parallel_for(executor.context, HeadCount() * n_chunks_, quantize, this);
  const int64_t stride = PadToLanes(call_.input.d_k);
  for (int64_t index = 0; index < HeadCount() * n_chunks_; ++index) {
    int32_t* total = heads_[index / n_chunks_].magnitude;
    const int32_t* part = magnitudes_ + index * stride;
    for (int64_t i = 0; i < stride; ++i) total[i] = std::max(total[i], part[i]);
  }
}

}  // namespace topk
