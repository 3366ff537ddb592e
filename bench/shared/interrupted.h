// How a benchmark ends early.
#ifndef QWEN_INFER_BENCH_SHARED_INTERRUPTED_H_
#define QWEN_INFER_BENCH_SHARED_INTERRUPTED_H_

namespace qwen_infer {

// Thrown soon after the user has asked to stop.
struct Interrupted {};

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_INTERRUPTED_H_
