#include "topk/head_major.h"

#include <algorithm>

namespace topk {

namespace {

constexpr int64_t kChunkTokens = 256;  // a task
// Copying a row costs about as much as its copy saves when it is read so many times.
constexpr double kReadsToPay = 4;

}  // namespace

bool HeadMajorCopy::Pays(const Call& call, const TensorView& tensor, int64_t d, double reads_per_kept) {
  if (tensor.token_stride == RowBytes(tensor.type, d)) return false;
  const int64_t kept = std::min(call.LargestBudget(), call.input.n_key) * call.RowsPerHeadKv();
  return reads_per_kept * static_cast<double>(kept) >= kReadsToPay * static_cast<double>(call.input.n_key);
}

HeadMajorCopy::HeadMajorCopy(Carver& carver, const Call& call, const TensorView& tensor, int64_t d)
    : from_(tensor),
      n_batch_(call.input.n_batch),
      n_token_(call.input.n_key),
      n_head_(call.input.n_head_kv),
      n_chunks_((n_token_ + kChunkTokens - 1) / kChunkTokens),
      row_bytes_(RowBytes(tensor.type, d)),
      rows_(carver.Take<uint8_t>(n_batch_ * n_head_ * n_token_ * row_bytes_)) {}

void HeadMajorCopy::CopyChunk(int64_t index) const {
  const int64_t batch = index / n_chunks_;
  const int64_t begin = index % n_chunks_ * kChunkTokens;
  const int64_t end = std::min(begin + kChunkTokens, n_token_);
  for (int64_t token = begin; token < end; ++token) {
    for (int64_t head = 0; head < n_head_; ++head) {
      std::copy_n(from_.Row(batch, token, head), row_bytes_,
                  rows_ + ((batch * n_head_ + head) * n_token_ + token) * row_bytes_);
    }
  }
}

TensorView HeadMajorCopy::Run(const Executor& executor) {
  const ParallelTask copy = [](void* opaque, int64_t index, int /*worker*/) {
    static_cast<const HeadMajorCopy*>(opaque)->CopyChunk(index);
  };
  executor.parallel_for(executor.context, n_batch_ * n_chunks_, copy, this);
  return {.data = rows_,
          .type = from_.type,
          .token_stride = row_bytes_,
          .head_stride = n_token_ * row_bytes_,
          .batch_stride = n_head_ * n_token_ * row_bytes_};
}

}  // namespace topk
