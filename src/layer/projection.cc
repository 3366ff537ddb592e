#include "layer/projection.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <string_view>
#include <vector>

#include "layer/projection_kernels.h"
#include "topk/attention.h"

namespace topk {

namespace {

// Rows of a block: enough that packing the other matrix anew for each block costs under a hundredth of the products,
// and few enough that prompts of a few hundred tokens still occupy several threads.
constexpr int64_t kBlockRows = 128;

// Those of the best instruction set that this machine has. Highway's AVX2 and AVX3 ask for what x86-64-v3 and -v4 are.
const ProjectionKernels& Kernels() {
#ifdef TOPK_PROJECTION_X86
  static const ProjectionKernels& kernels = [&]() -> const ProjectionKernels& {
    const std::vector<const char*> targets = SimdTargets();
    const auto has = [&](std::string_view name) {
      return std::find(targets.begin(), targets.end(), name) != targets.end();
    };
    if (has("AVX3")) return kProjectionAvx512;
    if (has("AVX2")) return kProjectionAvx2;
    return kProjectionBaseline;
  }();
  return kernels;
#else
  return kProjectionBaseline;
#endif
}

// Calls block(first, count) for blocks that cover [0, n). Eigen may throw, tasks must not.
template <typename Block>
Status ForEachBlock(int64_t n, const Executor& executor, const Block& block) {
  struct State {
    const Block& block;
    int64_t n;
    std::atomic<bool> failed = false;
  } state{block, n};
  const ParallelTask task = [](void* opaque, int64_t index, int /*worker*/) {
    auto& s = *static_cast<State*>(opaque);
    const int64_t first = index * kBlockRows;
    try {
      s.block(first, std::min(kBlockRows, s.n - first));
    } catch (const std::exception&) {
      s.failed = true;
    }
  };
  executor.parallel_for(executor.context, (n + kBlockRows - 1) / kBlockRows, task, &state);
  if (state.failed) return {StatusCode::kOutOfMemory, "no memory for a product with a weight matrix"};
  return {};
}

}  // namespace

Status Project(const ProjectionShape& shape, const float* x, const float* weight, const float* bias, float* y,
               const Executor& executor) {
  return ForEachBlock(shape.rows, executor, [&](int64_t first, int64_t count) {
    Kernels().project(shape, x, weight, bias, y, first, count);
  });
}

Status ProjectInputGradient(const ProjectionShape& shape, const float* grad_y, const float* weight, bool add,
                            float* grad_x, const Executor& executor) {
  return ForEachBlock(shape.rows, executor, [&](int64_t first, int64_t count) {
    Kernels().input_gradient(shape, grad_y, weight, add, grad_x, first, count);
  });
}

Status ProjectParameterGradient(const ProjectionShape& shape, const float* grad_y, const float* x, float* grad_weight,
                                float* grad_bias, const Executor& executor) {
  if (shape.rows == 0) {  // there may be no memory to point into
    std::fill_n(grad_weight, shape.n_out * shape.n_in, 0.0F);
    if (grad_bias != nullptr) std::fill_n(grad_bias, shape.n_out, 0.0F);
    return {};
  }
  return ForEachBlock(shape.n_out, executor, [&](int64_t first, int64_t count) {
    Kernels().parameter_gradient(shape, grad_y, x, grad_weight, grad_bias, first, count);
  });
}

}  // namespace topk
