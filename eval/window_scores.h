// What the reading of a window leaves: one score for each token that was predicted, and each way of attention.
#ifndef QWEN_INFER_EVAL_WINDOW_SCORES_H_
#define QWEN_INFER_EVAL_WINDOW_SCORES_H_

#include <cstdint>
#include <vector>

#include "topk/attention.h"

namespace qwen_infer::eval {

// Of one way. Element i is about the window's token i + 1, which has i + 1 tokens before it.
struct WayScores {
  std::vector<float> nll = {};
  std::vector<float> kl = {};        // zeros for full attention
  std::vector<uint8_t> agrees = {};  // 0 or 1
  double seconds = 0;                // to read the window, without the scoring
  topk::Statistics attention = {};   // empty for full attention
};

// Full attention first, then the settings in the order of the command line.
using WindowScores = std::vector<WayScores>;

inline constexpr size_t kFullAttention = 0;

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_WINDOW_SCORES_H_
