// Arguments of the backward pass are checked here, before any work.
#ifndef TOPK_SRC_BACKWARD_ARGUMENTS_H_
#define TOPK_SRC_BACKWARD_ARGUMENTS_H_

#include <cstdint>
#include <span>

#include "topk/backward.h"

namespace topk {

// The first thing that is wrong, named with its value and its range; or ok. All but the keys, which take a look at
// every entry. O(rows).
Status ValidateBackward(const AttentionInput& input, const TopKOptions& options, const SelectionView& selection,
                        const TensorView& d_out, const AttentionGradients& gradients);

// Whether the keys of a row ascend in [0, n_key).
bool AreKeysValid(std::span<const KeyIndex> keys, int64_t n_key);
// What is wrong with the keys of a row for which they don't.
Status InvalidKeys(const SelectionView& selection, int64_t row, int64_t n_key);

inline std::span<const KeyIndex> KeysOfRow(const SelectionView& selection, int64_t row) {
  const auto begin = static_cast<size_t>(selection.row_offsets[static_cast<size_t>(row)]);
  const auto end = static_cast<size_t>(selection.row_offsets[static_cast<size_t>(row) + 1]);
  return selection.keys.subspan(begin, end - begin);
}

}  // namespace topk

#endif  // TOPK_SRC_BACKWARD_ARGUMENTS_H_
