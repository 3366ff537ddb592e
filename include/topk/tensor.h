// Views of plain memory that attention reads and writes. Nothing here owns memory.
#ifndef TOPK_TENSOR_H_
#define TOPK_TENSOR_H_

#include <cstdint>

namespace topk {

enum class DataType : uint8_t {
  kF32,
  kF16,   // IEEE binary16
  kBF16,  // upper half of an IEEE binary32
  kQ8_0   // ggml's blocks: an f16 scale, then 32 int8; 34 bytes for 32 numbers
};

// Numbers in a block of q8_0; head sizes of q8_0 tensors are multiples of it.
inline constexpr int64_t kQ8BlockSize = 32;
inline constexpr int64_t kQ8BlockBytes = 34;

// Bytes of a row of `count` numbers; for q8_0 count must be a multiple of kQ8BlockSize.
constexpr int64_t RowBytes(DataType type, int64_t count) {
  switch (type) {
    case DataType::kF32: return 4 * count;
    case DataType::kF16:
    case DataType::kBF16: return 2 * count;
    case DataType::kQ8_0: return count / kQ8BlockSize * kQ8BlockBytes;
  }
  return 0;
}

// A tensor [batch, token, head, d]: the d numbers of a row are contiguous, every other stride is free (in bytes; 0 or
// negative are allowed). Rows of f32 must be aligned to 4 bytes, the other types to 2.
struct TensorView {
  const void* data = nullptr;
  DataType type = DataType::kF32;
  int64_t token_stride = 0;
  int64_t head_stride = 0;
  int64_t batch_stride = 0;

  const uint8_t* Row(int64_t batch, int64_t token, int64_t head) const {
    return static_cast<const uint8_t*>(data) + batch * batch_stride + token * token_stride + head * head_stride;
  }
};

// An additive mask [batch % n_batch, head % n_head, query, key], f16 or f32, keys contiguous; -inf hides a key.
// Null data: no mask.
struct MaskView {
  const void* data = nullptr;
  DataType type = DataType::kF16;
  int64_t n_head = 1;
  int64_t n_batch = 1;
  int64_t query_stride = 0;  // bytes, as are the two below
  int64_t head_stride = 0;
  int64_t batch_stride = 0;

  const uint8_t* Row(int64_t batch, int64_t head, int64_t query) const {
    return static_cast<const uint8_t*>(data) + (batch % n_batch) * batch_stride + (head % n_head) * head_stride +
           query * query_stride;
  }
};

// An f32 tensor [batch, token, head, d] to write; strides in bytes, rows must not overlap.
struct OutputView {
  float* data = nullptr;
  int64_t token_stride = 0;
  int64_t head_stride = 0;
  int64_t batch_stride = 0;

  float* Row(int64_t batch, int64_t token, int64_t head) const {
    return reinterpret_cast<float*>(reinterpret_cast<uint8_t*>(data) + batch * batch_stride + token * token_stride +
                                    head * head_stride);
  }
};

}  // namespace topk

#endif  // TOPK_TENSOR_H_
