// A layer with random parameters and inputs, and the same for the reference.
#ifndef TOPK_SRC_LAYER_TESTING_PROBLEM_H_
#define TOPK_SRC_LAYER_TESTING_PROBLEM_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "layer/testing/reference.h"
#include "topk/layer.h"

namespace topk::testing {

struct ProblemShape {
  TopKAttentionShape layer;
  TopKAttentionConfig config;
  int64_t batch = 1;
  int64_t n_query = 0;
  int64_t n_key = 0;  // 0: self-attention, without a key
  bool value_given = false;
  bool padding = false;    // a quarter of the keys is padding
  int64_t mask_heads = 0;  // 0: no additive mask
  int64_t mask_batch = 1;
  bool masked_row = false;  // the additive mask hides every key of the first query
};

struct Problem {
  Problem(const ProblemShape& problem, uint64_t seed);
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  // What the reference computes on: the same numbers in f64, with all masks as one.
  ReferenceInput ForReference(const Selection& selection) const;

  ProblemShape shape;
  std::unique_ptr<TopKAttention> layer;
  std::vector<float> query, key, value, attn_mask, grad_output;
  std::vector<uint8_t> padding;
  TopKAttentionInput input;
};

}  // namespace topk::testing

#endif  // TOPK_SRC_LAYER_TESTING_PROBLEM_H_
