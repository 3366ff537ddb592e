// Ranges of positions in a window: how many tokens a predicted one has before it.
#ifndef QWEN_INFER_EVAL_POSITIONS_H_
#define QWEN_INFER_EVAL_POSITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace qwen_infer::eval {

// [first, last).
struct Positions {
  int64_t first = 0;
  int64_t last = 0;

  bool operator==(const Positions&) const = default;
};

// "256-511".
std::string NameOf(const Positions& positions);

// All positions of a window of that many tokens, 1 to window - 1, in ranges each of which is twice as deep as the one
// before: [1, 256), [256, 512), [512, 1024), ...
std::vector<Positions> PositionBuckets(int64_t window);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_POSITIONS_H_
