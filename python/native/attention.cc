#include "attention.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "arrays.h"
#include "openmp_pool.h"
#include "topk/attention.h"

namespace qwen_infer::python {

namespace {

void ThrowUnlessOk(const topk::Status& status) {
  if (status.ok()) return;
  if (status.code() == topk::StatusCode::kOutOfMemory) {
    PyErr_SetString(PyExc_MemoryError, status.message().c_str());
    throw nb::python_error();
  }
  throw nb::value_error(status.message().c_str());
}

// Keywords as the kernel library's table of options spells them.
topk::TopKOptions OptionsOf(const nb::dict& keywords) {
  topk::TopKOptions options;
  for (const auto& [name, value] : keywords) {
    ThrowUnlessOk(topk::SetOption(options, nb::cast<std::string>(nb::str(name)), nb::cast<std::string>(nb::str(value))));
  }
  return options;
}

struct Shape {
  int64_t batch, head, token, d;

  template <typename Array>
  explicit Shape(const Array& array)
      : batch(static_cast<int64_t>(array.shape(0))),
        head(static_cast<int64_t>(array.shape(1))),
        token(static_cast<int64_t>(array.shape(2))),
        d(static_cast<int64_t>(array.shape(3))) {}
};

// The packages have checked the arguments with better words; this keeps memory safe whoever calls.
void Require(bool holds, const char* what) {
  if (!holds) throw nb::value_error(what);
}

topk::AttentionInput InputOf(const InputArray& q, const InputArray& k, const InputArray& v,
                             const std::optional<InputArray>& mask, bool causal, float scale) {
  const Shape query(q), key(k), value(v);
  Require(key.batch == query.batch && value.batch == query.batch, "q, k and v must have the same batch size");
  Require(value.token == key.token && value.head == key.head, "k and v must have the same keys and heads");
  Require(key.d == query.d, "q and k must have the same last dimension");
  if (mask) {
    const Shape shape(*mask);
    Require(shape.token == query.token && shape.d == key.token, "mask must be [batch, head, query, key]");
    Require(shape.batch == 1 || shape.batch == query.batch, "mask must have batch size 1 or that of q");
    Require(shape.head == 1 || shape.head == query.head, "mask must have 1 head or those of q");
  }
  topk::AttentionInput input;
  input.n_batch = query.batch;
  input.n_query = query.token;
  input.n_key = key.token;
  input.n_head = query.head;
  input.n_head_kv = key.head;
  input.d_k = query.d;
  input.d_v = value.d;
  input.q = ViewOf("q", q);
  input.k = ViewOf("k", k);
  input.v = ViewOf("v", v);
  input.mask = MaskViewOf(mask);
  input.causal = causal;
  input.scale = scale;
  return input;
}

// Selections are handed over at the size that their shapes bound, so that it depends on shapes alone, as torch's
// compiler wants it; row_offsets says how much of it is used. The vectors have that room: rows were closed up in it.
template <typename T>
nb::ndarray<T, nb::ndim<1>> PaddedArrayOf(std::vector<T> values, std::optional<int64_t> size) {
  if (size && *size >= static_cast<int64_t>(values.size())) values.resize(static_cast<size_t>(*size));
  return ArrayOf(std::move(values));
}

nb::tuple Attention(const InputArray& q, const InputArray& k, const InputArray& v, const OutputArray& out,
                    const std::optional<InputArray>& mask, bool causal, float scale, const nb::dict& options,
                    int n_threads, bool select, std::optional<int64_t> selection_size) {
  const topk::AttentionInput input = InputOf(q, k, v, mask, causal, scale);
  const Shape shape(out);
  Require(shape.batch == input.n_batch && shape.head == input.n_head && shape.token == input.n_query &&
              shape.d == input.d_v,
          "out must have the batch size, heads and tokens of q and the last dimension of v");
  const topk::TopKOptions parsed = OptionsOf(options);
  const topk::Executor executor = PoolExecutor(n_threads);
  topk::Selection selection;
  topk::Statistics statistics;
  topk::Status status;
  int64_t scratch_bytes = 0;
  {
    const nb::gil_scoped_release release;
    status = topk::Attention(input, parsed, {ViewOf("out", out), select ? &selection : nullptr, &statistics}, executor);
    if (status.ok()) scratch_bytes = topk::ScratchBytes(input, parsed, executor.n_workers);
  }
  ThrowUnlessOk(status);
  const nb::tuple sums =
      nb::make_tuple(statistics.rows, statistics.dense_rows, statistics.keys_seen, statistics.keys_kept,
                     statistics.mass_rows, statistics.mass_sum, statistics.mass_min, scratch_bytes);
  if (!select) return nb::make_tuple(sums, nb::none(), nb::none(), nb::none());
  return nb::make_tuple(sums, ArrayOf(std::move(selection.row_offsets)),
                        PaddedArrayOf(std::move(selection.keys), selection_size),
                        PaddedArrayOf(std::move(selection.weights), selection_size));
}

}  // namespace

void BindAttention(nb::module_& module) {
  module.def("attention", &Attention, nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("out"),
             nb::arg("mask") = nb::none(), nb::kw_only(), nb::arg("causal") = false, nb::arg("scale") = 1.0F,
             nb::arg("options") = nb::dict(), nb::arg("n_threads") = 0, nb::arg("select") = false,
             nb::arg("selection_size") = nb::none(),
             "Top-k attention into out; all arrays are [batch, head, token, d]. Returns (statistics, row_offsets, keys, "
             "weights): topk::Statistics' sums followed by bytes of scratch, and the selection as CSR rows in the order "
             "[batch, query, head] (None unless select).");
}

}  // namespace qwen_infer::python
