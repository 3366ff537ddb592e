// A layer's parameters: their sizes, first values and file form.
#ifndef TOPK_SRC_LAYER_PARAMETERS_H_
#define TOPK_SRC_LAYER_PARAMETERS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "topk/layer.h"
#include "topk/status.h"

namespace topk {

// One member of TopKAttentionParameters: its name in MultiheadAttention, where one has it to itself, and shape.
struct ParameterInfo {
  const char* name;
  std::vector<float> TopKAttentionParameters::* member;
  std::vector<int64_t> shape;  // empty: the layer has none

  int64_t Size() const;
};

std::array<ParameterInfo, 6> ParameterInfos(const TopKAttentionShape& shape);

// Sets the sizes, all numbers 0. May throw std::bad_alloc.
void ZeroParameters(const TopKAttentionShape& shape, TopKAttentionParameters& parameters);
// kInvalidArgument, naming it, if a part has another size than the shape asks for.
Status CheckParameters(const TopKAttentionShape& shape, const TopKAttentionParameters& parameters);

// See TopKAttention. The parameters have their sizes.
void InitializeParameters(const TopKAttentionShape& shape, uint64_t seed, TopKAttentionParameters& parameters);
Status LoadParameters(const TopKAttentionShape& shape, const std::string& path, std::string_view prefix,
                      TopKAttentionParameters& parameters);
Status SaveParameters(const TopKAttentionShape& shape, const TopKAttentionParameters& parameters,
                      const std::string& path, std::string_view prefix);

}  // namespace topk

#endif  // TOPK_SRC_LAYER_PARAMETERS_H_
