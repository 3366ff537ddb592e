// Arguments are checked here, once, before any work: everything below may trust them.
#ifndef TOPK_SRC_VALIDATE_H_
#define TOPK_SRC_VALIDATE_H_

#include "topk/attention.h"

namespace topk {

// The first thing that is wrong with a call, named with its value and its range; or ok.
Status Validate(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output);

// The same for parts of a call. An output is f32 [n_batch, n_token, n_head, d]; if it is not used it may be null.
struct OutputShape {
  int64_t n_batch, n_token, n_head, d;
};
Status ValidateInput(const AttentionInput& input, const TopKOptions& options);
Status ValidateView(const char* name, const TensorView& view, int64_t d, bool used);
Status ValidateOutput(const char* name, const OutputView& out, const OutputShape& shape, bool used);
Status ValidateExecutor(const Executor& executor);

}  // namespace topk

#endif  // TOPK_SRC_VALIDATE_H_
