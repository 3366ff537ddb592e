// The keys of a call in int8, quantised once for all rows: n_batch * n_head_kv * n_key * d_k bytes of scratch.
#ifndef TOPK_SRC_QUANTIZED_KEYS_H_
#define TOPK_SRC_QUANTIZED_KEYS_H_

#include <cstdint>

#include "topk/arena.h"
#include "topk/call.h"
#include "topk/parallel.h"
#include "topk/quantize/quantize.h"

namespace topk {

// The keys of one batch and KV head. The numbers of a block's facts are divided by its scale, as thresholds want them.
struct QuantizedHead {
  float* mean = nullptr;           // mu [d]
  float* equalise = nullptr;       // E [d]
  float* inverse = nullptr;        // 1 / E [d]
  int32_t* magnitude = nullptr;    // [PadToLanes(d)]: the largest number of each dimension, as PackKeys has it
  uint8_t* panels = nullptr;       // [n_blocks][QuantizedPanelBytes(d)]
  float* scale = nullptr;          // [n_blocks]
  float* inverse_scale = nullptr;  // [n_blocks]
  float* scaled_norm = nullptr;    // [n_blocks]: norm / scale
  float* scaled_error = nullptr;   // [n_blocks]: error / scale
};

class QuantizedKeys {
 public:
  QuantizedKeys(Carver& carver, const Call& call, int n_workers);

  // Quantises all keys.
  void Run(const Executor& executor);

  const QuantizedHead& HeadOf(int64_t batch, int64_t head_kv) const {
    return heads_[batch * call_.input.n_head_kv + head_kv];
  }

 private:
  void FindTransform(int64_t index, int worker) const;
  void QuantizeBlocks(int64_t index, int64_t first_block, int64_t last_block, int32_t* magnitude, int worker) const;
  int64_t HeadCount() const { return call_.input.n_batch * call_.input.n_head_kv; }

  const Call& call_;
  int64_t n_blocks_;
  int64_t n_chunks_;  // tasks of each head
  QuantizedHead* heads_ = nullptr;
  int32_t* magnitudes_ = nullptr;  // [HeadCount()][n_chunks_][PadToLanes(d)]
  float* panels_ = nullptr;        // [n_workers][d][kBlockKeys]
};

}  // namespace topk

#endif  // TOPK_SRC_QUANTIZED_KEYS_H_
