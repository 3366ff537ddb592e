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
#include "topk/backward.h"

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
    ThrowUnlessOk(
        topk::SetOption(options, nb::cast<std::string>(nb::str(name)), nb::cast<std::string>(nb::str(value))));
  }
  return options;
}

template <typename T>
using Values = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

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

topk::Activation ActivationOf(const std::string& name) {
  if (name == "softmax") return topk::Activation::kSoftmax;
  if (name == "relu") return topk::Activation::kRelu;
  throw nb::value_error(("activation='" + name + "' must be 'softmax' or 'relu'").c_str());
}

// What forward and backward share.
struct Parameters {
  float scale;
  const std::string& activation;
  float dropout_p;
  uint64_t seed;
  float softcap;
};

topk::AttentionInput InputOf(const InputArray& q, const InputArray& k, const InputArray& v,
                             const Parameters& parameters) {
  const Shape query(q), key(k), value(v);
  Require(key.batch == query.batch && value.batch == query.batch, "q, k and v must have the same batch size");
  Require(value.token == key.token && value.head == key.head, "k and v must have the same keys and heads");
  Require(key.d == query.d, "q and k must have the same last dimension");
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
  input.scale = parameters.scale;
  input.activation = ActivationOf(parameters.activation);
  input.dropout_p = parameters.dropout_p;
  input.dropout_seed = parameters.seed;
  input.softcap = parameters.softcap;
  return input;
}

void CheckMask(const InputArray& mask, const topk::AttentionInput& input) {
  const Shape shape(mask);
  Require(shape.token == input.n_query && shape.d == input.n_key, "mask must be [batch, head, query, key]");
  Require(shape.batch == 1 || shape.batch == input.n_batch, "mask must have batch size 1 or that of q");
  Require(shape.head == 1 || shape.head == input.n_head, "mask must have 1 head or those of q");
}

// An output with the batch size, heads and tokens of another array, and `d` numbers in its rows.
void CheckLike(const char* name, const Shape& shape, const Shape& other, int64_t d) {
  if (shape.batch == other.batch && shape.head == other.head && shape.token == other.token && shape.d == d) return;
  throw nb::value_error((std::string(name) + " does not have the shape that the inputs ask for").c_str());
}

// Selections are handed over at the size that their shapes bound, so that it depends on shapes alone, as torch's
// compiler wants it; row_offsets says how much of it is used. The vectors have that room: rows were closed up in it.
template <typename T>
nb::ndarray<nb::array_api, T, nb::ndim<1>> PaddedArrayOf(topk::UninitializedVector<T> values,
                                                         std::optional<int64_t> size) {
  if (size && *size >= static_cast<int64_t>(values.size())) values.resize(static_cast<size_t>(*size));
  return ArrayOf(std::move(values));
}

// Each thread that calls keeps its scratch for its next call, in which it would otherwise be mapped anew.
topk::Executor ExecutorOf(int n_threads) {
  thread_local topk::ScratchMemory scratch;
  topk::Executor executor = PoolExecutor(n_threads);
  executor.scratch = &scratch;
  return executor;
}

nb::tuple Attention(const InputArray& q, const InputArray& k, const InputArray& v, const OutputArray& out,
                    const std::optional<InputArray>& mask, const std::optional<Values<float>>& sink_logits, bool causal,
                    float scale, const std::string& activation, float dropout_p, uint64_t seed, float softcap,
                    const nb::dict& options, int n_threads, bool select, std::optional<int64_t> selection_size,
                    bool weights_after_dropout) {
  topk::AttentionInput input = InputOf(q, k, v, {scale, activation, dropout_p, seed, softcap});
  if (mask) CheckMask(*mask, input);
  input.mask = MaskViewOf(mask);
  input.causal = causal;
  if (sink_logits) {
    Require(static_cast<int64_t>(sink_logits->shape(0)) == input.n_head,
            "sink_logits must have a number for each head");
    input.sink_logits = sink_logits->data();
  }
  CheckLike("out", Shape(out), Shape(q), input.d_v);
  const topk::TopKOptions parsed = OptionsOf(options);
  const topk::Executor executor = ExecutorOf(n_threads);
  topk::Selection selection;
  topk::Statistics statistics;
  topk::Status status;
  int64_t scratch_bytes = 0;
  {
    const nb::gil_scoped_release release;
    status = topk::Attention(input, parsed, {ViewOf("out", out), select ? &selection : nullptr, &statistics}, executor);
    if (status.ok()) {
      scratch_bytes = topk::ScratchBytes(input, parsed, executor.n_workers);
      if (weights_after_dropout) topk::ApplyDropout(input, selection.View(), selection.weights.data());
    }
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

// Entries past the last row's are padding, see PaddedArrayOf.
topk::SelectionView SelectionOf(const Values<int64_t>& row_offsets, const Values<int32_t>& keys,
                                const Values<float>& weights) {
  Require(row_offsets.shape(0) > 0, "row_offsets must have one number more than there are rows");
  const int64_t used = row_offsets.data()[row_offsets.shape(0) - 1];
  Require(used >= 0 && used <= static_cast<int64_t>(keys.shape(0)) && keys.shape(0) == weights.shape(0),
          "keys and weights must have the entries that row_offsets ends with");
  const auto entries = static_cast<size_t>(used);
  return {{row_offsets.data(), row_offsets.shape(0)}, {keys.data(), entries}, {weights.data(), entries}};
}

void AttentionBackward(const InputArray& q, const InputArray& k, const InputArray& v, const InputArray& d_out,
                       const Values<int64_t>& row_offsets, const Values<int32_t>& keys, const Values<float>& weights,
                       const OutputArray& d_q, const OutputArray& d_k, const OutputArray& d_v,
                       const std::optional<nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>>& d_scores,
                       float scale, const std::string& activation, float dropout_p, uint64_t seed, float softcap,
                       int n_threads) {
  const topk::AttentionInput input = InputOf(q, k, v, {scale, activation, dropout_p, seed, softcap});
  CheckLike("d_out", Shape(d_out), Shape(q), input.d_v);
  CheckLike("d_q", Shape(d_q), Shape(q), input.d_k);
  CheckLike("d_k", Shape(d_k), Shape(k), input.d_k);
  CheckLike("d_v", Shape(d_v), Shape(v), input.d_v);
  const topk::SelectionView selection = SelectionOf(row_offsets, keys, weights);
  Require(!d_scores || d_scores->shape(0) >= selection.keys.size(), "d_scores must have room for every entry");
  topk::AttentionGradients gradients{.d_q = ViewOf("d_q", d_q), .d_k = ViewOf("d_k", d_k), .d_v = ViewOf("d_v", d_v)};
  if (d_scores) gradients.d_scores = d_scores->data();
  topk::Status status;
  {
    const nb::gil_scoped_release release;
    status = topk::AttentionBackward(input, {}, selection, ViewOf("d_out", d_out), gradients, ExecutorOf(n_threads));
  }
  ThrowUnlessOk(status);
}

}  // namespace

void BindAttention(nb::module_& module) {
  module.def(
      "attention", &Attention, nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("out"), nb::arg("mask") = nb::none(),
      nb::arg("sink_logits") = nb::none(), nb::kw_only(), nb::arg("causal") = false, nb::arg("scale") = 1.0F,
      nb::arg("activation") = "softmax", nb::arg("dropout_p") = 0.0F, nb::arg("seed") = 0, nb::arg("softcap") = 0.0F,
      nb::arg("options") = nb::dict(), nb::arg("n_threads") = 0, nb::arg("select") = false,
      nb::arg("selection_size") = nb::none(), nb::arg("weights_after_dropout") = false,
      "Top-k attention into out; all arrays but sink_logits, [head], are [batch, head, token, d]. Returns (statistics, "
      "row_offsets, keys, "
      "weights): topk::Statistics' sums followed by bytes of scratch, and the selection as CSR rows in the order "
      "[batch, query, head] (None unless select), padded to selection_size entries.");
  module.def("attention_backward", &AttentionBackward, nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("d_out"),
             nb::arg("row_offsets"), nb::arg("keys"), nb::arg("weights"), nb::arg("d_q"), nb::arg("d_k"),
             nb::arg("d_v"), nb::arg("d_scores") = nb::none(), nb::kw_only(), nb::arg("scale") = 1.0F,
             nb::arg("activation") = "softmax", nb::arg("dropout_p") = 0.0F, nb::arg("seed") = 0,
             nb::arg("softcap") = 0.0F, nb::arg("n_threads") = 0,
             "Gradients into d_q, d_k, d_v and d_scores (one number for each selected key), from the selection that "
             "attention returned.");
}

}  // namespace qwen_infer::python
