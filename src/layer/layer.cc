#include "topk/layer.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>

#include "layer/input.h"
#include "layer/parameters.h"
#include "layer/projection.h"
#include "topk/backward.h"

namespace topk {

namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kMostGrown = 4096;  // budget that min_mass may ask for

// Runs fn, which gives a Status; what it throws for want of memory becomes one.
template <typename Fn>
Status WithoutThrowing(Fn&& fn) {
  try {
    return fn();
  } catch (const std::bad_alloc&) {
    return {StatusCode::kOutOfMemory, "no memory for the layer's tensors"};
  } catch (const std::length_error&) {  // of a vector
    return {StatusCode::kOutOfMemory, "the layer's tensors are larger than memory can be"};
  }
}

Status CheckExecutor(const Executor& executor) {
  if (executor.parallel_for != nullptr && executor.n_workers >= 1) return {};
  return InvalidArgument("the executor has no parallel_for, or n_workers=" + std::to_string(executor.n_workers) +
                         " is below 1");
}

// A projected tensor [batch, n, heads * head_dim] as attention sees it.
TensorView View(const float* data, int64_t n, int64_t features, int64_t head_dim) {
  return {data, DataType::kF32, kFloatBytes * features, kFloatBytes * head_dim, kFloatBytes * features * n};
}

OutputView MutableView(float* data, int64_t n, int64_t features, int64_t head_dim) {
  return {data, kFloatBytes * features, kFloatBytes * head_dim, kFloatBytes * features * n};
}

ProjectionShape Projection(int64_t rows, int64_t n_in, int64_t n_out) { return {rows, n_in, n_out}; }

using Buffer = UninitializedVector<float>;

void Resize(Buffer& buffer, int64_t rows, int64_t features) {
  buffer.resize(static_cast<size_t>(rows) * static_cast<size_t>(features));
}

int64_t Bytes(const Buffer& buffer) { return kFloatBytes * static_cast<int64_t>(buffer.size()); }

// Of the projected q, k and v.
struct ProjectedGradients {
  Buffer q, k, v;
};

}  // namespace

struct TopKAttention::Impl {
  Impl(const TopKAttentionShape& layer_shape, const TopKAttentionConfig& layer_config)
      : shape(layer_shape), config(layer_config) {
    ZeroParameters(shape, parameters);
  }

  Status CheckBudget(int64_t n_key) const;
  TopKOptions Options() const;
  AttentionInput Attend(const LayerInput& in, const TopKAttentionActivations& activations) const;
  Status ProjectInputs(const LayerInput& in, TopKAttentionActivations& to, const Executor& executor) const;
  Status Forward(const TopKAttentionInput& input, const TopKAttentionOutput& output, const Executor& executor);
  Status CheckBackward(const LayerInput& in, const TopKAttentionActivations& activations,
                       std::span<const float> grad_output, const TopKAttentionGradients& gradients) const;
  Status BackwardThroughAttention(const LayerInput& in, const TopKAttentionActivations& activations,
                                  std::span<const float> grad_output, ProjectedGradients& to,
                                  const Executor& executor) const;
  Status BackwardThroughProjections(const LayerInput& in, const ProjectedGradients& projected,
                                    const TopKAttentionGradients& gradients, TopKAttentionParameters& grad_parameters,
                                    const Executor& executor) const;
  Status Backward(const TopKAttentionInput& input, const TopKAttentionActivations& activations,
                  std::span<const float> grad_output, const TopKAttentionGradients& gradients,
                  const Executor& executor) const;
  void Count(const Statistics& call, int64_t scratch_bytes);

  // The bias of q, k or v, which begins at `first` of in_bias; null without bias.
  const float* InBias(int64_t first) const { return shape.bias ? parameters.in_bias.data() + first : nullptr; }

  TopKAttentionShape shape;
  TopKAttentionConfig config;
  TopKAttentionParameters parameters;
  std::mutex statistics_mutex;  // guards the two below
  Statistics statistics;
  TopKAttentionMemoryStats memory_stats;  // only what is no sum over rows
};

Status TopKAttention::Impl::CheckBudget(int64_t n_key) const {
  if (config.fallback_full_attention || config.BudgetFor(n_key) <= n_key) return {};
  return {StatusCode::kBudgetCoversAllKeys, "k=" + BudgetInWords(config.k, n_key) + " is more than the " +
                                                std::to_string(n_key) +
                                                " keys, so attention would be full: lower it or set "
                                                "fallback_full_attention"};
}

TopKOptions TopKAttention::Impl::Options() const {
  TopKOptions options;
  options.k = config.k;
  options.temperature = static_cast<float>(config.temperature);
  options.sinks = shape.sinks;
  options.window = shape.window;
  options.min_mass = static_cast<float>(shape.min_mass);
  options.max_k = std::max(options.k, kMostGrown);
  options.dense_beyond_max_k = false;  // with it, calls with and without a selection would differ
  options.sparse = config.use_sparse;
  if (config.enable_memory_tracking) options.mass = shape.exact_mass ? MassMode::kExact : MassMode::kSampled;
  return options;
}

AttentionInput TopKAttention::Impl::Attend(const LayerInput& in, const TopKAttentionActivations& activations) const {
  AttentionInput out;
  out.n_batch = in.batch;
  out.n_query = in.n_query;
  out.n_key = in.n_key;
  out.n_head = shape.num_heads;
  out.n_head_kv = shape.KvHeads();
  out.d_k = out.d_v = shape.HeadDim();
  out.q = View(activations.q.data(), in.n_query, shape.embed_dim, shape.HeadDim());
  out.k = View(activations.k.data(), in.n_key, shape.KvDim(), shape.HeadDim());
  out.v = View(activations.v.data(), in.n_key, shape.KvDim(), shape.HeadDim());
  out.causal = shape.causal;
  out.scale = 1.0F / std::sqrt(static_cast<float>(shape.HeadDim()));
  if (activations.dropout_seed) {
    out.dropout_p = static_cast<float>(shape.dropout);
    out.dropout_seed = *activations.dropout_seed;
  }
  return out;
}

Status TopKAttention::Impl::ProjectInputs(const LayerInput& in, TopKAttentionActivations& to,
                                          const Executor& executor) const {
  const int64_t e = shape.embed_dim;
  const int64_t kv = shape.KvDim();
  Resize(to.q, in.QueryRows(), e);
  Resize(to.k, in.KeyRows(), kv);
  Resize(to.v, in.KeyRows(), kv);
  if (Status s = Project(Projection(in.QueryRows(), e, e), in.query, parameters.q_weight.data(), InBias(0), to.q.data(),
                         executor);
      !s.ok()) {
    return s;
  }
  if (Status s = Project(Projection(in.KeyRows(), shape.KeyDim(), kv), in.key, parameters.k_weight.data(), InBias(e),
                         to.k.data(), executor);
      !s.ok()) {
    return s;
  }
  return Project(Projection(in.KeyRows(), shape.ValueDim(), kv), in.value, parameters.v_weight.data(), InBias(e + kv),
                 to.v.data(), executor);
}

Status TopKAttention::Impl::Forward(const TopKAttentionInput& input, const TopKAttentionOutput& output,
                                    const Executor& executor) {
  LayerInput in;
  if (Status s = CheckExecutor(executor); !s.ok()) return s;
  if (Status s = CheckParameters(shape, parameters); !s.ok()) return s;
  if (Status s = ResolveInput(shape, input, in); !s.ok()) return s;
  if (Status s = CheckBudget(in.n_key); !s.ok()) return s;
  if (Status s = CheckLength("output", output.output.size(), "[batch, n_query, embed_dim]",
                             {in.batch, in.n_query, shape.embed_dim});
      !s.ok()) {
    return s;
  }
  const int64_t e = shape.embed_dim;
  TopKAttentionActivations scratch;
  TopKAttentionActivations& activations = output.activations != nullptr ? *output.activations : scratch;
  activations.dropout_seed = output.dropout_seed;
  if (Status s = ProjectInputs(in, activations, executor); !s.ok()) return s;

  Resize(activations.attention, in.QueryRows(), e);
  AttentionInput attend = Attend(in, activations);
  std::vector<float> mask;
  attend.mask = CombineMasks(input, in, mask);
  Selection* selection = output.activations != nullptr ? &activations.selection : output.selection;
  Statistics call;
  const AttentionOutput attended = {MutableView(activations.attention.data(), in.n_query, e, shape.HeadDim()),
                                    selection, config.enable_memory_tracking ? &call : nullptr};
  const TopKOptions options = Options();
  if (Status s = Attention(attend, options, attended, executor); !s.ok()) return s;
  if (selection != output.selection && output.selection != nullptr) *output.selection = *selection;

  if (Status s = Project(Projection(in.QueryRows(), e, e), activations.attention.data(), parameters.out_weight.data(),
                         shape.bias ? parameters.out_bias.data() : nullptr, output.output.data(), executor);
      !s.ok()) {
    return s;
  }
  if (config.enable_memory_tracking) {
    int64_t bytes = ScratchBytes(attend, options, executor.n_workers) + kFloatBytes * static_cast<int64_t>(mask.size());
    for (const Buffer* own : {&scratch.q, &scratch.k, &scratch.v, &scratch.attention}) bytes += Bytes(*own);
    Count(call, bytes);
  }
  return {};
}

void TopKAttention::Impl::Count(const Statistics& call, int64_t scratch_bytes) {
  const std::lock_guard lock(statistics_mutex);
  statistics.Add(call);
  memory_stats.calls += 1;
  memory_stats.fallback_calls += call.rows > 0 && call.dense_rows == call.rows ? 1 : 0;
  memory_stats.peak_scratch_bytes = std::max(memory_stats.peak_scratch_bytes, scratch_bytes);
}

Status TopKAttention::Impl::CheckBackward(const LayerInput& in, const TopKAttentionActivations& activations,
                                          std::span<const float> grad_output,
                                          const TopKAttentionGradients& gradients) const {
  const auto query_like = [&](std::string_view name, size_t size) {
    return CheckLength(name, size, "[batch, n_query, embed_dim]", {in.batch, in.n_query, shape.embed_dim});
  };
  const auto key_like = [&](std::string_view name, size_t size, std::string_view features_name, int64_t features) {
    return CheckLength(name, size, "[batch, n_key, " + std::string(features_name) + "]",
                       {in.batch, in.n_key, features});
  };
  if (Status s = query_like("grad_output", grad_output.size()); !s.ok()) return s;
  if (Status s = query_like("activations.q", activations.q.size()); !s.ok()) return s;
  if (Status s = key_like("activations.k", activations.k.size(), "KvDim", shape.KvDim()); !s.ok()) return s;
  if (Status s = key_like("activations.v", activations.v.size(), "KvDim", shape.KvDim()); !s.ok()) return s;
  if (Status s = query_like("activations.attention", activations.attention.size()); !s.ok()) return s;
  if (in.key_is_query && !gradients.key.empty()) {
    return InvalidArgument(
        "gradients.key is given, but the input has no key of its own: its part is in gradients.query");
  }
  if (in.value_is_key && !gradients.value.empty()) {
    return InvalidArgument("gradients.value is given, but the input has no value of its own: its part is in that of " +
                           std::string(in.key_is_query ? "query" : "key"));
  }
  if (!gradients.query.empty()) {
    if (Status s = query_like("gradients.query", gradients.query.size()); !s.ok()) return s;
  }
  if (!gradients.key.empty()) {
    if (Status s = key_like("gradients.key", gradients.key.size(), "kdim", shape.KeyDim()); !s.ok()) return s;
  }
  if (!gradients.value.empty()) {
    if (Status s = key_like("gradients.value", gradients.value.size(), "vdim", shape.ValueDim()); !s.ok()) return s;
  }
  return {};
}

// Through the last projection and the attention.
Status TopKAttention::Impl::BackwardThroughAttention(const LayerInput& in, const TopKAttentionActivations& activations,
                                                     std::span<const float> grad_output, ProjectedGradients& to,
                                                     const Executor& executor) const {
  const int64_t e = shape.embed_dim;
  const int64_t kv = shape.KvDim();
  Buffer grad_attention;
  Resize(grad_attention, in.QueryRows(), e);
  if (Status s = ProjectInputGradient(Projection(in.QueryRows(), e, e), grad_output.data(),
                                      parameters.out_weight.data(), false, grad_attention.data(), executor);
      !s.ok()) {
    return s;
  }
  Resize(to.q, in.QueryRows(), e);
  Resize(to.k, in.KeyRows(), kv);
  Resize(to.v, in.KeyRows(), kv);
  AttentionGradients gradients;
  gradients.d_q = MutableView(to.q.data(), in.n_query, e, shape.HeadDim());
  gradients.d_k = MutableView(to.k.data(), in.n_key, kv, shape.HeadDim());
  gradients.d_v = MutableView(to.v.data(), in.n_key, kv, shape.HeadDim());
  return AttentionBackward(Attend(in, activations), Options(), activations.selection.View(),
                           View(grad_attention.data(), in.n_query, e, shape.HeadDim()), gradients, executor);
}

// Through the projections of the inputs. An input that stood in for others gets the sum of their gradients.
Status TopKAttention::Impl::BackwardThroughProjections(const LayerInput& in, const ProjectedGradients& projected,
                                                       const TopKAttentionGradients& gradients,
                                                       TopKAttentionParameters& grad_parameters,
                                                       const Executor& executor) const {
  const int64_t e = shape.embed_dim;
  const int64_t kv = shape.KvDim();
  const std::span<float> key_gradient = in.key_is_query ? gradients.query : gradients.key;
  const std::span<float> value_gradient = in.value_is_key ? key_gradient : gradients.value;
  struct Part {
    ProjectionShape shape;
    const float* input;
    const std::vector<float>& weight;
    const Buffer& gradient;
    std::span<float> input_gradient;
    bool add;
    std::vector<float>& weight_gradient;
    int64_t first_bias;
  };
  const Part parts[] = {{Projection(in.QueryRows(), e, e), in.query, parameters.q_weight, projected.q, gradients.query,
                         false, grad_parameters.q_weight, 0},
                        {Projection(in.KeyRows(), shape.KeyDim(), kv), in.key, parameters.k_weight, projected.k,
                         key_gradient, in.key_is_query, grad_parameters.k_weight, e},
                        {Projection(in.KeyRows(), shape.ValueDim(), kv), in.value, parameters.v_weight, projected.v,
                         value_gradient, in.value_is_key, grad_parameters.v_weight, e + kv}};
  for (const Part& part : parts) {
    if (!part.input_gradient.empty()) {
      if (Status s = ProjectInputGradient(part.shape, part.gradient.data(), part.weight.data(), part.add,
                                          part.input_gradient.data(), executor);
          !s.ok()) {
        return s;
      }
    }
    if (gradients.parameters == nullptr) continue;
    float* bias = shape.bias ? grad_parameters.in_bias.data() + part.first_bias : nullptr;
    if (Status s = ProjectParameterGradient(part.shape, part.gradient.data(), part.input, part.weight_gradient.data(),
                                            bias, executor);
        !s.ok()) {
      return s;
    }
  }
  return {};
}

Status TopKAttention::Impl::Backward(const TopKAttentionInput& input, const TopKAttentionActivations& activations,
                                     std::span<const float> grad_output, const TopKAttentionGradients& gradients,
                                     const Executor& executor) const {
  LayerInput in;
  if (Status s = CheckExecutor(executor); !s.ok()) return s;
  if (Status s = CheckParameters(shape, parameters); !s.ok()) return s;
  if (Status s = ResolveInput(shape, input, in); !s.ok()) return s;
  if (Status s = CheckBackward(in, activations, grad_output, gradients); !s.ok()) return s;

  TopKAttentionParameters grad_parameters;
  if (gradients.parameters != nullptr) ZeroParameters(shape, grad_parameters);
  ProjectedGradients projected;
  if (Status s = BackwardThroughAttention(in, activations, grad_output, projected, executor); !s.ok()) return s;
  if (Status s = BackwardThroughProjections(in, projected, gradients, grad_parameters, executor); !s.ok()) return s;
  if (gradients.parameters == nullptr) return {};
  const int64_t e = shape.embed_dim;
  if (Status s = ProjectParameterGradient(Projection(in.QueryRows(), e, e), grad_output.data(),
                                          activations.attention.data(), grad_parameters.out_weight.data(),
                                          shape.bias ? grad_parameters.out_bias.data() : nullptr, executor);
      !s.ok()) {
    return s;
  }
  *gradients.parameters = std::move(grad_parameters);
  return {};
}

TopKAttention::TopKAttention(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

TopKAttention::~TopKAttention() = default;

Status TopKAttention::Create(const TopKAttentionShape& shape, const TopKAttentionConfig& config,
                             std::unique_ptr<TopKAttention>& layer) {
  if (Status s = shape.Validate(); !s.ok()) return s;
  if (Status s = config.Validate(); !s.ok()) return s;
  return WithoutThrowing([&]() -> Status {
    std::unique_ptr<TopKAttention> made(new TopKAttention(std::make_unique<Impl>(shape, config)));
    made->ResetParameters(0);
    layer = std::move(made);
    return {};
  });
}

const TopKAttentionShape& TopKAttention::shape() const { return impl_->shape; }

const TopKAttentionConfig& TopKAttention::config() const { return impl_->config; }

TopKAttentionParameters& TopKAttention::parameters() { return impl_->parameters; }

const TopKAttentionParameters& TopKAttention::parameters() const { return impl_->parameters; }

void TopKAttention::ResetParameters(uint64_t seed) { InitializeParameters(impl_->shape, seed, impl_->parameters); }

Status TopKAttention::LoadSafetensors(const std::string& path, std::string_view prefix) {
  return WithoutThrowing([&] { return LoadParameters(impl_->shape, path, prefix, impl_->parameters); });
}

Status TopKAttention::SaveSafetensors(const std::string& path, std::string_view prefix) const {
  return WithoutThrowing([&] { return SaveParameters(impl_->shape, impl_->parameters, path, prefix); });
}

Status TopKAttention::Forward(const TopKAttentionInput& input, const TopKAttentionOutput& output,
                              const Executor& executor) const {
  return WithoutThrowing([&] { return impl_->Forward(input, output, executor); });
}

Status TopKAttention::Backward(const TopKAttentionInput& input, const TopKAttentionActivations& activations,
                               std::span<const float> grad_output, const TopKAttentionGradients& gradients,
                               const Executor& executor) const {
  return WithoutThrowing([&] { return impl_->Backward(input, activations, grad_output, gradients, executor); });
}

TopKAttentionMemoryStats TopKAttention::GetMemoryStats() const {
  const std::lock_guard lock(impl_->statistics_mutex);
  TopKAttentionMemoryStats stats = impl_->memory_stats;
  const Statistics& sums = impl_->statistics;
  stats.total_memory_saved = sums.OperationsSaved();
  if (stats.calls > 0) {
    stats.avg_memory_saved_per_call = static_cast<double>(stats.total_memory_saved) / static_cast<double>(stats.calls);
  }
  stats.mass_rows = sums.mass_rows;
  stats.mean_mass = sums.MeanMass();
  stats.min_mass = sums.mass_min;
  return stats;
}

void TopKAttention::ResetMemoryStats() {
  const std::lock_guard lock(impl_->statistics_mutex);
  impl_->statistics = {};
  impl_->memory_stats = {};
}

}  // namespace topk
