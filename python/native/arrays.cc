#include "arrays.h"

#include <cstdint>
#include <string>

namespace qwen_infer::python {

namespace {

topk::DataType TypeOf(const char* name, const InputArray& array) {
  const auto type = array.dtype();
  const bool is_float = type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float);
  const bool is_bfloat = type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat);
  if (is_float && type.bits == 32) return topk::DataType::kF32;
  if (is_float && type.bits == 16) return topk::DataType::kF16;
  if (is_bfloat && type.bits == 16) return topk::DataType::kBF16;
  throw nb::value_error((std::string(name) + " must be float32, float16 or bfloat16").c_str());
}

// The last dimension must be contiguous; with at most one number in it its stride says nothing.
template <typename Array>
void CheckRows(const char* name, const Array& array) {
  if (array.shape(3) > 1 && array.stride(3) != 1) {
    throw nb::value_error((std::string(name) + ": the last dimension must be contiguous, its stride is " +
                           std::to_string(array.stride(3)))
                              .c_str());
  }
}

}  // namespace

topk::TensorView ViewOf(const char* name, const InputArray& array) {
  CheckRows(name, array);
  const auto bytes = static_cast<int64_t>(array.itemsize());
  return {.data = array.data(),
          .type = TypeOf(name, array),
          .token_stride = array.stride(2) * bytes,
          .head_stride = array.stride(1) * bytes,
          .batch_stride = array.stride(0) * bytes};
}

topk::OutputView ViewOf(const char* name, const OutputArray& array) {
  CheckRows(name, array);
  constexpr auto kBytes = static_cast<int64_t>(sizeof(float));
  return {.data = array.data(),
          .token_stride = array.stride(2) * kBytes,
          .head_stride = array.stride(1) * kBytes,
          .batch_stride = array.stride(0) * kBytes};
}

topk::MaskView MaskViewOf(const std::optional<InputArray>& array) {
  if (!array) return {};
  CheckRows("mask", *array);
  const auto bytes = static_cast<int64_t>(array->itemsize());
  return {.data = array->data(),
          .type = TypeOf("mask", *array),
          .n_head = static_cast<int64_t>(array->shape(1)),
          .n_batch = static_cast<int64_t>(array->shape(0)),
          .query_stride = array->stride(2) * bytes,
          .head_stride = array->stride(1) * bytes,
          .batch_stride = array->stride(0) * bytes};
}

}  // namespace qwen_infer::python
