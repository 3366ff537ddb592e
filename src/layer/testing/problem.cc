#include "layer/testing/problem.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "layer/testing/random_numbers.h"

namespace topk::testing {

namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

Numbers ToNumbers(const std::vector<float>& numbers) { return {numbers.begin(), numbers.end()}; }

}  // namespace

Problem::Problem(const ProblemShape& problem, uint64_t seed) : shape(problem) {
  const Status made = TopKAttention::Create(shape.layer, shape.config, layer);
  if (!made.ok()) ADD_FAILURE() << made.message();
  layer->ResetParameters(seed);
  std::mt19937_64 random(seed);
  // Scores of about 1 need larger weights than training starts with; biases are not 0.
  TopKAttentionParameters& p = layer->parameters();
  for (auto* weight : {&p.q_weight, &p.k_weight}) {
    for (float& x : *weight) x *= 2;
  }
  p.in_bias = RandomNumbers(random, static_cast<int64_t>(p.in_bias.size()));
  p.out_bias = RandomNumbers(random, static_cast<int64_t>(p.out_bias.size()));

  const bool cross = shape.n_key != 0;
  const int64_t n_key = cross ? shape.n_key : shape.n_query;
  query = RandomNumbers(random, shape.batch * shape.n_query * shape.layer.embed_dim);
  if (cross) key = RandomNumbers(random, shape.batch * n_key * shape.layer.KeyDim());
  if (shape.value_given) value = RandomNumbers(random, shape.batch * n_key * shape.layer.ValueDim());
  grad_output = RandomNumbers(random, static_cast<int64_t>(query.size()));
  if (shape.padding) {
    padding.resize(static_cast<size_t>(shape.batch * n_key));
    for (uint8_t& hidden : padding) hidden = random() % 4 == 0 ? 7 : 0;  // any number but 0 hides
  }
  attn_mask = RandomNumbers(random, shape.mask_batch * shape.mask_heads * shape.n_query * n_key);
  for (size_t i = 0; i < attn_mask.size(); ++i) {
    const bool in_first_row = static_cast<int64_t>(i) / n_key % shape.n_query == 0;
    if (random() % 5 == 0 || (shape.masked_row && in_first_row)) attn_mask[i] = static_cast<float>(kHidden);
  }
  input = {.batch = shape.batch, .n_query = shape.n_query, .n_key = n_key, .query = query, .key = key, .value = value};
  input.key_padding_mask = padding;
  input.attn_mask = attn_mask;
  if (shape.mask_heads > 0) {
    input.mask_heads = shape.mask_heads;
    input.mask_batch = shape.mask_batch;
  }
}

ReferenceInput Problem::ForReference(const Selection& selection) const {
  ReferenceInput out;
  out.shape = shape.layer;
  out.temperature = shape.config.temperature;
  out.batch = input.batch;
  out.n_query = input.n_query;
  out.n_key = input.n_key;
  out.inputs[0] = ToNumbers(query);
  out.inputs[1] = key.empty() ? out.inputs[0] : ToNumbers(key);
  out.inputs[2] = value.empty() ? out.inputs[1] : ToNumbers(value);
  const TopKAttentionParameters& p = layer->parameters();
  out.weights = {ToNumbers(p.q_weight), ToNumbers(p.k_weight), ToNumbers(p.v_weight)};
  out.in_bias = ToNumbers(p.in_bias);
  out.out_weight = ToNumbers(p.out_weight);
  out.out_bias = ToNumbers(p.out_bias);
  out.selection = selection;
  out.dropout.assign(selection.keys.size(), 1.0);
  out.grad_output = ToNumbers(grad_output);
  for (int64_t b = 0; b < out.batch; ++b) {
    for (int64_t h = 0; h < shape.layer.num_heads; ++h) {
      for (int64_t i = 0; i < out.n_query; ++i) {
        for (int64_t j = 0; j < out.n_key; ++j) {
          double mask = 0;
          if (!attn_mask.empty()) {
            const int64_t plane = b % input.mask_batch * input.mask_heads + h % input.mask_heads;
            mask = attn_mask[(plane * out.n_query + i) * out.n_key + j];
          }
          if (!padding.empty() && padding[b * out.n_key + j] != 0) mask = kHidden;
          if (shape.layer.causal && j > out.n_key - out.n_query + i) mask = kHidden;
          out.mask.push_back(mask);
        }
      }
    }
  }
  return out;
}

}  // namespace topk::testing
