// The keys of a call in integers, quantised once for all rows: one byte of scratch for each number of K if all are to
// be int8, else two.
#ifndef TOPK_SRC_QUANTIZED_KEYS_H_
#define TOPK_SRC_QUANTIZED_KEYS_H_

#include <cstdint>
#include <optional>
#include <span>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/parallel.h"
#include "topk/quantize/quantize.h"

namespace topk {

// The keys of one batch and KV head. The numbers of a block's facts are divided by its scale, as thresholds want them.
struct QuantizedHead {
  std::optional<NumberWidth> width;  // nothing: not quantised, every score is to be in f32
  float* mean = nullptr;             // mu [d]
  float* equalise = nullptr;         // E [d]
  float* inverse = nullptr;          // 1 / E [d]
  int32_t* magnitude = nullptr;      // [PadToLanes(d)]: the largest number of each dimension, as PackKeys has it
  uint8_t* panels = nullptr;         // [n_blocks][QuantizedPanelBytes(d, width)]
  float* scale = nullptr;            // [n_blocks]
  float* inverse_scale = nullptr;    // [n_blocks]
  float* scaled_norm = nullptr;      // [n_blocks]: norm / scale
  float* scaled_error = nullptr;     // [n_blocks]: error / scale

  // The width, of a head that has one.
  NumberWidth WidthInUse() const { return width.value_or(NumberWidth::kInt8); }
};

class QuantizedKeys {
 public:
  // The widest that keys of the call may become.
  static NumberWidth WidestOf(const Call& call);

  QuantizedKeys(Carver& carver, const Call& call, int n_workers);

  // First, for each head below HeadCount(): its transform. Then its width, if it is not to be WidestOf the call.
  void FindTransform(int64_t index, int worker) const;
  void SetWidth(int64_t index, std::optional<NumberWidth> width) const { heads_[index].width = width; }
  int64_t HeadCount() const { return call_.input.n_batch * call_.input.n_head_kv; }

  // Quantises listed blocks of a head to the first blocks of `sample`, which has the memory for them.
  void QuantizeSample(int64_t index, NumberWidth width, std::span<const int64_t> blocks, QuantizedHead& sample,
                      int worker) const;

  // How many heads have a width.
  int64_t WidthCount() const;

  // Quantises all keys of those.
  void Run(const Executor& executor);

  const QuantizedHead& HeadOf(int64_t batch, int64_t head_kv) const {
    return heads_[batch * call_.input.n_head_kv + head_kv];
  }

 private:
  void QuantizeBlock(int64_t index, NumberWidth width, int64_t block, const QuantizedHead& to, int64_t slot,
                     int32_t* magnitude, int worker) const;
  void QuantizeChunk(int64_t index, int64_t chunk, int worker) const;

  const Call& call_;
  int64_t n_blocks_;
  int64_t n_chunks_;  // tasks of each head
  QuantizedHead* heads_ = nullptr;
  int32_t* magnitudes_ = nullptr;  // [HeadCount()][n_chunks_][PadToLanes(d)]
  float* panels_ = nullptr;        // [n_workers][d][kBlockKeys]
};

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZED_KEYS_H_
