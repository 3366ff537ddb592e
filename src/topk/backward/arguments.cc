#include "topk/backward/arguments.h"

#include <string>

#include "topk/validate.h"

namespace topk {

namespace {

Status CheckSizes(const AttentionInput& input, const SelectionView& selection) {
  const int64_t rows = input.n_batch * input.n_query * input.n_head;
  if (static_cast<int64_t>(selection.row_offsets.size()) != rows + 1) {
    return InvalidArgument("selection.row_offsets has " + std::to_string(selection.row_offsets.size()) +
                           " numbers: it must have n_batch * n_query * n_head + 1 = " + std::to_string(rows + 1));
  }
  if (selection.keys.size() != selection.weights.size()) {
    return InvalidArgument("selection.weights has " + std::to_string(selection.weights.size()) +
                           " numbers: it must have as many as selection.keys, " +
                           std::to_string(selection.keys.size()));
  }
  return {};
}

Status CheckOffsets(const SelectionView& selection) {
  const auto offset_at = [&](size_t r) {
    return "selection.row_offsets[" + std::to_string(r) + "]=" + std::to_string(selection.row_offsets[r]);
  };
  if (selection.row_offsets.front() != 0) return InvalidArgument(offset_at(0) + " must be 0");
  for (size_t r = 1; r < selection.row_offsets.size(); ++r) {
    if (selection.row_offsets[r] < selection.row_offsets[r - 1]) {
      return InvalidArgument(offset_at(r) + " is below " + offset_at(r - 1) + ": offsets must ascend");
    }
  }
  const size_t last = selection.row_offsets.size() - 1;
  if (selection.row_offsets[last] != static_cast<int64_t>(selection.keys.size())) {
    return InvalidArgument(offset_at(last) + " must be the number of selection.keys, " +
                           std::to_string(selection.keys.size()));
  }
  return {};
}

}  // namespace

Status ValidateBackward(const AttentionInput& input, const TopKOptions& options, const SelectionView& selection,
                        const TensorView& d_out, const AttentionGradients& gradients) {
  if (Status s = ValidateInput(input, options); !s.ok()) return s;
  if (Status s = CheckSizes(input, selection); !s.ok()) return s;
  if (Status s = CheckOffsets(selection); !s.ok()) return s;
  const bool has_rows = input.n_batch > 0 && input.n_query > 0;
  const bool has_keys = input.n_batch > 0 && input.n_key > 0;
  if (d_out.type != DataType::kF32) return InvalidArgument("d_out.type must be f32");
  if (Status s = ValidateView("d_out", d_out, input.d_v, has_rows); !s.ok()) return s;
  struct Gradient {
    const char* name;
    const OutputView& view;
    OutputShape shape;
    bool used;
  };
  const AttentionInput& in = input;
  for (const Gradient& g : {Gradient{"d_q", gradients.d_q, {in.n_batch, in.n_query, in.n_head, in.d_k}, has_rows},
                            Gradient{"d_k", gradients.d_k, {in.n_batch, in.n_key, in.n_head_kv, in.d_k}, has_keys},
                            Gradient{"d_v", gradients.d_v, {in.n_batch, in.n_key, in.n_head_kv, in.d_v}, has_keys}}) {
    if (g.view.data == nullptr) continue;
    if (Status s = ValidateOutput(g.name, g.view, g.shape, g.used); !s.ok()) return s;
  }
  return {};
}

bool AreKeysValid(std::span<const KeyIndex> keys, int64_t n_key) {
  if (keys.empty()) return true;
  bool ascend = true;
  for (size_t j = 1; j < keys.size(); ++j) ascend &= keys[j - 1] < keys[j];
  return ascend && keys.front() >= 0 && keys.back() < n_key;
}

Status InvalidKeys(const SelectionView& selection, int64_t row, int64_t n_key) {
  const std::span<const KeyIndex> keys = KeysOfRow(selection, row);
  size_t bad = 0;
  KeyIndex least = 0;
  while (bad < keys.size() && keys[bad] >= least && keys[bad] < n_key) least = keys[bad++] + 1;
  return InvalidArgument("selection.keys[" + std::to_string(selection.row_offsets[static_cast<size_t>(row)] + bad) +
                         "]=" + std::to_string(keys[bad]) + " of row " + std::to_string(row) + " must be from " +
                         std::to_string(least) + " to " + std::to_string(n_key - 1) +
                         ": keys ascend within a row and are below n_key");
}

}  // namespace topk
