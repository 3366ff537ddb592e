// Scores of listed keys: what remains to be done in f32 where an int8 scan has ruled the other keys out.
#ifndef TOPK_SRC_SCAN_SCORE_KEYS_H_
#define TOPK_SRC_SCAN_SCORE_KEYS_H_

#include <cstdint>
#include <span>

#include "topk/attention.h"
#include "topk/tensor.h"

namespace topk {

// scores[i] = q . (key keys[i] of `head_keys`) in f32, within ScanError of scan/scan.h. q: PadToLanes(d) f32, zeros
// from d on, 64-byte aligned. scores: room for keys.size() + 3. Keys are read at random and fetched ahead. No
// allocation; any thread.
void ScoreKeys(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys, float* scores);
void ScoreKeysReference(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys,
                        float* scores);

}  // namespace topk

#endif  // TOPK_SRC_SCAN_SCORE_KEYS_H_
