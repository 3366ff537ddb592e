// What logits say: the softmax over the vocabulary, in logarithms.
#ifndef QWEN_INFER_SRC_ENGINE_LOG_SOFTMAX_H_
#define QWEN_INFER_SRC_ENGINE_LOG_SOFTMAX_H_

#include <span>

#include "qwen_infer/engine.h"

namespace qwen_infer {

// The log probability of a token is its logit - largest - log_sum.
struct LogSoftmax {
  float largest = 0;   // logit
  Token best = 0;      // that has it; the lowest of several
  double log_sum = 0;  // log sum exp(logit - largest); NaN if there is a NaN among the logits

  // Of a vocabulary, which is not empty.
  static LogSoftmax Of(std::span<const float> logits);

  double LogProbability(float logit) const { return double{logit} - double{largest} - log_sum; }
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_LOG_SOFTMAX_H_
