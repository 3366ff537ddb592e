// How well one token was predicted, and how far the prediction is from that of full attention.
#ifndef QWEN_INFER_EVAL_TOKEN_SCORE_H_
#define QWEN_INFER_EVAL_TOKEN_SCORE_H_

#include <span>

#include "engine/log_softmax.h"

namespace qwen_infer::eval {

struct TokenScore {
  float nll = 0;       // negative log likelihood of the token that came, natural logarithm
  float kl = 0;        // KL(full attention || this) over the vocabulary, in nats; at least 0
  bool agrees = true;  // both find the same token the most likely
};

// Logits with their softmax, which several comparisons share.
struct Prediction {
  Prediction() = default;
  explicit Prediction(std::span<const float> its_logits) : logits(its_logits), softmax(LogSoftmax::Of(its_logits)) {}

  std::span<const float> logits;
  LogSoftmax softmax;
};

// Of full attention itself.
TokenScore ScoreOf(const Prediction& full, Token token);

// The same vocabulary, and finite logits, but for those that are -inf in both.
TokenScore ScoreOf(const Prediction& full, std::span<const float> logits, Token token);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_TOKEN_SCORE_H_
