// K or V with the rows of each head side by side. A KV cache holds them token by token, so those of one head are apart
// by a power of two, which maps them to a fraction of a cache's sets, and to a page each few. Attention after an
// integer scan reads rows here and there, many times each, and is then bound by misses.
#ifndef TOPK_SRC_HEAD_MAJOR_H_
#define TOPK_SRC_HEAD_MAJOR_H_

#include <cstdint>

#include "topk/call.h"
#include "topk/carver.h"
#include "topk/parallel.h"
#include "topk/tensor.h"

namespace topk {

// A copy of a tensor [batch, token, head, d] in its own data type, as many bytes of scratch as it has.
class HeadMajorCopy {
 public:
  // Whether `tensor`, K or V of the call, is laid out otherwise, and its rows are read so often, about reads_per_kept
  // times for each key that is kept, that copying them pays.
  static bool Pays(const Call& call, const TensorView& tensor, int64_t d, double reads_per_kept);

  HeadMajorCopy(Carver& carver, const Call& call, const TensorView& tensor, int64_t d);

  // Fills the copy and returns a view of it.
  TensorView Run(const Executor& executor);

 private:
  void CopyChunk(int64_t index) const;

  TensorView from_;
  int64_t n_batch_;
  int64_t n_token_;
  int64_t n_head_;
  int64_t n_chunks_;  // tasks of each batch
  int64_t row_bytes_;
  uint8_t* rows_;  // [n_batch][n_head][n_token][row_bytes]
};

}  // namespace topk

#endif  // TOPK_SRC_HEAD_MAJOR_H_
