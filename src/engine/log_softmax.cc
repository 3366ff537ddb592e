#include "engine/log_softmax.h"

#include <algorithm>
#include <cmath>

namespace qwen_infer {

LogSoftmax LogSoftmax::Of(std::span<const float> logits) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - *largest);
  return {.largest = *largest, .best = static_cast<Token>(largest - logits.begin()), .log_sum = std::log(sum)};
}

}  // namespace qwen_infer
