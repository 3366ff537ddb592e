// Runs the C++ attention layer on files, so that a test in another language can compare: same weights, same input, same
// numbers.
//   usage: run_layer SHAPE_JSON CONFIG_JSON WEIGHTS INPUT OUTPUT     the last three are safetensors files
//   INPUT   query [batch, n_query, embed_dim]; optional: key, value, key_padding_mask [batch, n_key] (not 0: hidden),
//           attn_mask [mask_batch, mask_heads, n_query, n_key], grad_output (like the query); all of F32, F16 or BF16
//   OUTPUT  output; with grad_output also grad_query, grad_key, grad_value (of inputs that were given) and
//           grad_q_weight, grad_k_weight, grad_v_weight, grad_in_bias, grad_out_weight, grad_out_bias
// Prints the layer's statistics as JSON.
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "topk/layer.h"
#include "topk/safetensors.h"

namespace {

using topk::NamedTensor;
using topk::Status;

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> numbers;

  bool given() const { return !shape.empty(); }
};

// An optional tensor with `rank` dimensions.
Status Read(topk::SafetensorsFile& file, const char* name, size_t rank, Tensor& tensor) {
  if (!file.Has(name)) return {};
  const std::vector<int64_t> shape = file.entries().find(name)->second.shape;
  if (shape.size() != rank) {
    return topk::InvalidArgument(std::string(name) + " has " + std::to_string(shape.size()) + " dimensions, not " +
                                 std::to_string(rank));
  }
  tensor.shape = shape;
  return file.Read(name, shape, tensor.numbers);
}

struct Job {
  std::unique_ptr<topk::TopKAttention> layer;
  Tensor query, key, value, padding, mask, grad_output;

  Status Load(std::span<char*> arguments);
  Status Run(const std::string& path) const;
};

Status Job::Load(std::span<char*> arguments) {
  topk::TopKAttentionShape shape;
  topk::TopKAttentionConfig config;
  topk::SafetensorsFile file;
  Status status = topk::TopKAttentionShape::FromJson(arguments[0], shape);
  if (status.ok()) status = topk::TopKAttentionConfig::FromJson(arguments[1], config);
  if (status.ok()) status = topk::TopKAttention::Create(shape, config, layer);
  if (status.ok()) status = layer->LoadSafetensors(arguments[2]);
  if (status.ok()) status = topk::SafetensorsFile::Open(arguments[3], file);
  if (status.ok()) status = Read(file, "query", 3, query);
  if (status.ok()) status = Read(file, "key", 3, key);
  if (status.ok()) status = Read(file, "value", 3, value);
  if (status.ok()) status = Read(file, "key_padding_mask", 2, padding);
  if (status.ok()) status = Read(file, "attn_mask", 4, mask);
  if (status.ok()) status = Read(file, "grad_output", 3, grad_output);
  if (status.ok() && !query.given()) return topk::InvalidArgument("the input has no query");
  return status;
}

Status Job::Run(const std::string& path) const {
  std::vector<uint8_t> hidden;
  for (const float x : padding.numbers) hidden.push_back(x != 0.0F ? 1 : 0);
  topk::TopKAttentionInput input;
  input.batch = query.shape[0];
  input.n_query = query.shape[1];
  input.n_key = key.given() ? key.shape[1] : 0;
  input.query = query.numbers;
  input.key = key.numbers;
  input.value = value.numbers;
  input.key_padding_mask = hidden;
  input.attn_mask = mask.numbers;
  if (mask.given()) {
    input.mask_batch = mask.shape[0];
    input.mask_heads = mask.shape[1];
  }
  std::vector<float> output(query.numbers.size());
  topk::TopKAttentionActivations activations;
  topk::TopKAttentionOutput to;
  to.output = output;
  if (grad_output.given()) to.activations = &activations;
  Status status = layer->Forward(input, to, topk::OpenMpExecutor(0));
  if (!status.ok()) return status;
  std::vector<NamedTensor> results = {{"output", query.shape, output}};

  std::vector<float> grad_query(query.numbers.size());
  std::vector<float> grad_key(key.numbers.size());
  std::vector<float> grad_value(value.numbers.size());
  topk::TopKAttentionParameters grad;
  if (grad_output.given()) {
    status = layer->Backward(input, activations, grad_output.numbers, {grad_query, grad_key, grad_value, &grad},
                             topk::OpenMpExecutor(0));
    if (!status.ok()) return status;
    const topk::TopKAttentionShape& shape = layer->shape();
    const int64_t e = shape.embed_dim;
    const int64_t kv = shape.KvDim();
    results.push_back({"grad_query", query.shape, grad_query});
    if (key.given()) results.push_back({"grad_key", key.shape, grad_key});
    if (value.given()) results.push_back({"grad_value", value.shape, grad_value});
    results.push_back({"grad_q_weight", {e, e}, grad.q_weight});
    results.push_back({"grad_k_weight", {kv, shape.KeyDim()}, grad.k_weight});
    results.push_back({"grad_v_weight", {kv, shape.ValueDim()}, grad.v_weight});
    results.push_back({"grad_out_weight", {e, e}, grad.out_weight});
    if (shape.bias) {
      results.push_back({"grad_in_bias", {e + 2 * kv}, grad.in_bias});
      results.push_back({"grad_out_bias", {e}, grad.out_bias});
    }
  }
  return topk::WriteSafetensors(path, results);
}

void PrintStatistics(const topk::TopKAttentionMemoryStats& stats) {
  std::printf(
      "{\"total_memory_saved\": %lld, \"avg_memory_saved_per_call\": %.17g, \"calls\": %lld, \"fallback_calls\": %lld, "
      "\"mass_rows\": %lld, \"mean_mass\": %.17g, \"min_mass\": %.17g}\n",
      static_cast<long long>(stats.total_memory_saved), stats.avg_memory_saved_per_call,
      static_cast<long long>(stats.calls), static_cast<long long>(stats.fallback_calls),
      static_cast<long long>(stats.mass_rows), stats.mean_mass, stats.min_mass);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: run_layer SHAPE_JSON CONFIG_JSON WEIGHTS INPUT OUTPUT\n");
    return 2;
  }
  Job job;
  Status status = job.Load(std::span(argv + 1, 4));
  if (status.ok()) status = job.Run(argv[5]);
  if (status.ok()) {
    PrintStatistics(job.layer->GetMemoryStats());
    return 0;
  }
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return 1;
}
