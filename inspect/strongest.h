// The strongest weights of a row of attention, in three bytes each.
#ifndef QWEN_INFER_INSPECT_STRONGEST_H_
#define QWEN_INFER_INSPECT_STRONGEST_H_

#include <cstdint>
#include <span>

#include "topk/selection.h"

namespace qwen_infer::inspect {

// A share from 0 to 1 as a byte: 255 times its square root, rounded. So small shares are told apart (the least is 1/255
// squared, and half of that is 0), and none is off by more than 0.004. NaN is 0.
uint8_t PackShare(double share);

struct WeightOfKey {
  topk::KeyIndex key = 0;
  float weight = 0;
};

// Reorders `row`, and writes its strongest weights with their keys, which are below 65536: strongest first, of equal
// ones the lowest key. Places that are left over have the weight 0, as keys that hardly count have.
void KeepStrongest(std::span<WeightOfKey> row, std::span<uint16_t> keys, std::span<uint8_t> weights);

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_STRONGEST_H_
