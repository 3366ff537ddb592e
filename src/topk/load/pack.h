// K and V of any DataType as f32 panels that the scan multiplies: one block of keys at a time.
#ifndef TOPK_SRC_LOAD_PACK_H_
#define TOPK_SRC_LOAD_PACK_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"
#include "topk/tensor.h"

namespace topk {

// Keys in a panel: four AVX-512 vectors; a panel of d = 128 numbers fills an L1 cache of 32 KiB.
inline constexpr int64_t kBlockKeys = 64;

// Vector width that rows are padded to, in numbers; the widest of all SIMD targets.
inline constexpr int64_t kMaxLanes = 16;

constexpr int64_t PadToLanes(int64_t count) { return (count + kMaxLanes - 1) / kMaxLanes * kMaxLanes; }

// Blocks that hold so many keys, the last one perhaps in part, and the keys that they have room for.
constexpr int64_t BlockCount(int64_t n_keys) { return (n_keys + kBlockKeys - 1) / kBlockKeys; }
constexpr int64_t PadToBlocks(int64_t n_keys) { return BlockCount(n_keys) * kBlockKeys; }

// panel[i * kBlockKeys + j] = number i of key first + j, for i < d and j < count; 0 for count <= j < kBlockKeys.
// magnitude[i] becomes the bits of max(itself, |number i| of these keys), compared as integers: NaN and infinity
// come out at 0x7F800000 or above. Returns whether any magnitude grew.
// panel: d * kBlockKeys f32, 64-byte aligned; magnitude: PadToLanes(d) int32, 64-byte aligned. `keys`: the view of
// one batch and KV head. No allocation; any thread.
bool PackKeys(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel, int32_t* magnitude);
bool PackKeysReference(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel,
                       int32_t* magnitude);

// The same for keys listed[0, count) in place of first + j; those that follow in `listed` are fetched ahead.
bool PackListedKeys(const TensorView& keys, std::span<const KeyIndex> listed, int64_t count, int64_t d, float* panel,
                    int32_t* magnitude);
bool PackListedKeysReference(const TensorView& keys, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                             float* panel, int32_t* magnitude);

// panel[j * PadToLanes(d) + i] = number i of value first + j, for i < d and j < count; zeros elsewhere up to
// kBlockKeys rows of PadToLanes(d). Returns whether all these numbers are finite. Same conditions.
bool PackValues(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel);
bool PackValuesReference(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel);

// The same for values listed[0, count).
bool PackListedValues(const TensorView& values, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                      float* panel);
bool PackListedValuesReference(const TensorView& values, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                               float* panel);

}  // namespace topk

#endif  // TOPK_SRC_LOAD_PACK_H_
