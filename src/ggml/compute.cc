#include "compute.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend.h"
#include "layer.h"
#include "op.h"
#include "profile.h"
#include "selection_observer.h"
#include "topk/attention.h"

namespace qwen_infer {

namespace {

// What an observer sees of one operation; nothing is allocated unless one wants to.
class Observation {
 public:
  // Has `output` collect it.
  Observation(std::shared_ptr<SelectionObserver> observer, int layer, const topk::AttentionInput& input,
              topk::AttentionOutput& output)
      : observer_(std::move(observer)), layer_(layer), input_(input) {
    if (observer_ == nullptr || !observer_->Wants(layer)) {
      observer_ = nullptr;
      return;
    }
    mass_.resize(static_cast<size_t>(input.n_batch * input.n_query * input.n_head));
    output.selection = &selection_;
    output.mass = mass_.data();
  }

  void Show() const {
    if (observer_ != nullptr) observer_->Observe(layer_, input_, selection_.View(), mass_);
  }

 private:
  std::shared_ptr<SelectionObserver> observer_;
  int layer_;
  const topk::AttentionInput& input_;
  topk::Selection selection_;
  std::vector<float> mass_;
};

}  // namespace

topk::Status ComputeAttention(const ggml_tensor& op, const Settings& settings, const topk::Executor& executor,
                              State& state) {
  const int layer = LayerOf(op);
  const topk::AttentionInput input = InputOf(op);
  topk::Statistics call;
  topk::AttentionOutput output;
  output.out = OutputOf(op);
  output.statistics = &call;
  const AttentionShape shape = {input.n_head, input.n_head_kv, input.d_k};
  if (const std::string warning = state.NoteShape(layer, shape); !warning.empty()) {
    std::fprintf(stderr, "%s: warning: %s\n", kBackendName, warning.c_str());  // some tools silence ggml's log
  }
  if (settings.made_for != nullptr) {
    if (topk::Status status = CheckLayer(*settings.made_for, layer, shape); !status.ok()) return status;
  }
  topk::Status status = state.recorder().Record(input, layer, settings);
  Observation observation(state.observer(), layer, input, output);
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
  observation.Show();
  return {};
}

}  // namespace qwen_infer
