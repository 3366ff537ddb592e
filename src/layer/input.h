// A layer's inputs, checked, and their masks in the form that attention takes.
#ifndef TOPK_SRC_LAYER_INPUT_H_
#define TOPK_SRC_LAYER_INPUT_H_

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "topk/layer.h"
#include "topk/status.h"
#include "topk/tensor.h"

namespace topk {

// A TopKAttentionInput in which key and value have been filled in. Views the same memory.
struct LayerInput {
  int64_t batch = 0;
  int64_t n_query = 0;
  int64_t n_key = 0;
  const float* query = nullptr;
  const float* key = nullptr;
  const float* value = nullptr;
  bool key_is_query = false;
  bool value_is_key = false;

  int64_t QueryRows() const { return batch * n_query; }
  int64_t KeyRows() const { return batch * n_key; }
};

// kInvalidArgument, naming argument, value and what is allowed, for counts, lengths and masks that do not fit together.
Status ResolveInput(const TopKAttentionShape& shape, const TopKAttentionInput& input, LayerInput& resolved);

// kInvalidArgument unless `size` is the product of `counts`, which are named as in "[batch, n_query, embed_dim]".
Status CheckLength(std::string_view argument, size_t size, std::string_view names,
                   std::initializer_list<int64_t> counts);

// Both masks of an input as one; `memory` owns what had to be computed: nothing, a row for each sequence, or both masks
// together. May throw std::bad_alloc.
MaskView CombineMasks(const TopKAttentionInput& input, const LayerInput& resolved, std::vector<float>& memory);

}  // namespace topk

#endif  // TOPK_SRC_LAYER_INPUT_H_
