// The range of each dimension in a sample of the keys.
#ifndef TOPK_SRC_KEY_RANGES_H_
#define TOPK_SRC_KEY_RANGES_H_

namespace topk {

struct KeyRanges {
  const float* low;   // [d]
  const float* high;  // [d]
};

}  // namespace topk

#endif  // TOPK_SRC_KEY_RANGES_H_
