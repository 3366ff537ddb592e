// Where a scan leaves which keys survive it: bit j of word r * kSurvivorStride + b is key j of block b, for row r.
#ifndef TOPK_SRC_SCAN_SURVIVOR_BITS_H_
#define TOPK_SRC_SCAN_SURVIVOR_BITS_H_

#include <cstdint>

namespace topk {

inline constexpr int64_t kMostScannedBlocks = 64;  // before their survivors are looked at
// Rows a power of two apart would share a few of the cache's sets.
inline constexpr int64_t kSurvivorStride = kMostScannedBlocks + 8;

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SURVIVOR_BITS_H_
