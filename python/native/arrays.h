// Arrays of Python, from any framework that speaks DLPack, as views of the kernel library, and its vectors as arrays.
// Nothing is copied. Shapes are [batch, head, token, d], as torch has them; the kernel library counts strides in bytes.
#ifndef QWEN_INFER_PYTHON_ARRAYS_H_
#define QWEN_INFER_PYTHON_ARRAYS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "topk/tensor.h"

namespace qwen_infer::python {

namespace nb = nanobind;

// Read-only, and written to. f32, f16 or bf16; rows contiguous.
using InputArray = nb::ndarray<nb::ro, nb::ndim<4>, nb::device::cpu>;
using OutputArray = nb::ndarray<float, nb::ndim<4>, nb::device::cpu>;

// Throw nb::value_error naming `name` for other types and for rows with gaps.
topk::TensorView ViewOf(const char* name, const InputArray& array);
topk::OutputView ViewOf(const char* name, const OutputArray& array);
// [batch or 1, head or 1, query, key]; without an array, no mask.
topk::MaskView MaskViewOf(const std::optional<InputArray>& array);

// An array that owns the vector.
template <typename Vector>
nb::ndarray<nb::array_api, typename Vector::value_type, nb::ndim<1>> ArrayOf(Vector values) {
  using T = typename Vector::value_type;
  const size_t size = values.size();
  auto owned = std::make_unique<Vector>(std::move(values));
  T* data = owned->data();
  nb::capsule owner(owned.get(), [](void* vector) noexcept { delete static_cast<Vector*>(vector); });
  (void)owned.release();  // the capsule's from here on
  return nb::ndarray<nb::array_api, T, nb::ndim<1>>(data, {size}, owner);
}

}  // namespace qwen_infer::python

#endif  // QWEN_INFER_PYTHON_ARRAYS_H_
