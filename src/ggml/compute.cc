#include "compute.h"

#include <string>

#include "layer.h"
#include "op.h"
#include "profile.h"
#include "topk/attention.h"

namespace qwen_infer {

topk::Status ComputeAttention(const ggml_tensor& op, const Settings& settings, const topk::Executor& executor,
                              State& state) {
  const int layer = LayerOf(op);
  const topk::AttentionInput input = InputOf(op);
  topk::Statistics call;
  topk::AttentionOutput output;
  output.out = OutputOf(op);
  output.statistics = &call;
  const AttentionShape shape = {input.n_head, input.n_head_kv, input.d_k};
  state.NoteShape(layer, shape);
  if (settings.made_for != nullptr) {
    if (topk::Status status = CheckLayer(*settings.made_for, layer, shape); !status.ok()) return status;
  }
  topk::Status status = state.recorder().Record(input, layer, settings);
  if (status.ok()) {
    const int64_t crossover = state.MeasuredCrossover(input.d_k, input.n_query);
    status = topk::Attention(input, settings.ForLayer(layer, input.n_key, crossover), output, executor);
  }
  if (!status.ok()) {
    const std::string where =
        layer == kUnknownLayer ? "attention outside the layers" : "layer " + std::to_string(layer);
    return topk::Status(status.code(), where + ": " + status.message());
  }
  state.statistics().Add(layer, call);
  return {};
}

}  // namespace qwen_infer
