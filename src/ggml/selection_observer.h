// Who looks at what layers keep, on its way from the kernels.
#ifndef QWEN_INFER_SRC_GGML_SELECTION_OBSERVER_H_
#define QWEN_INFER_SRC_GGML_SELECTION_OBSERVER_H_

#include <span>

#include "topk/attention.h"
#include "topk/selection.h"

namespace qwen_infer {

// Computations that have an observer of their layer leave no row to full attention (AttentionOutput::selection); those
// of other layers are as they were. All functions are called on the thread that computes a graph, after the operation;
// what they throw ends the computation.
class SelectionObserver {
 public:
  virtual ~SelectionObserver() = default;

  // Whether Observe is to be called for this layer: a selection costs time, and memory for every key that is kept.
  virtual bool Wants(int layer) const = 0;

  // One operation: what its rows kept, and the mass of each as AttentionOutput::mass has it. Valid until it returns.
  virtual void Observe(int layer, const topk::AttentionInput& input, const topk::SelectionView& selection,
                       std::span<const float> mass) = 0;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_SELECTION_OBSERVER_H_
