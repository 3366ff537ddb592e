// The types of numbers that the kernels and ggml both know.
#ifndef QWEN_INFER_SRC_GGML_TYPES_H_
#define QWEN_INFER_SRC_GGML_TYPES_H_

#include <ggml.h>

#include <optional>

#include "topk/tensor.h"

namespace qwen_infer {

// Empty for types that the kernels do not know.
constexpr std::optional<topk::DataType> DataTypeOf(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F32: return topk::DataType::kF32;
    case GGML_TYPE_F16: return topk::DataType::kF16;
    case GGML_TYPE_BF16: return topk::DataType::kBF16;
    case GGML_TYPE_Q8_0: return topk::DataType::kQ8_0;
    default: return std::nullopt;
  }
}

constexpr ggml_type TypeOf(topk::DataType type) {
  switch (type) {
    case topk::DataType::kF32: return GGML_TYPE_F32;
    case topk::DataType::kF16: return GGML_TYPE_F16;
    case topk::DataType::kBF16: return GGML_TYPE_BF16;
    case topk::DataType::kQ8_0: return GGML_TYPE_Q8_0;
  }
  return GGML_TYPE_COUNT;
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_TYPES_H_
