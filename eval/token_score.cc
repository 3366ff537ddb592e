#include "token_score.h"

#include <cmath>

namespace qwen_infer::eval {

namespace {

float NegativeLogLikelihood(const Prediction& prediction, Token token) {
  return static_cast<float>(-prediction.softmax.LogProbability(prediction.logits[static_cast<size_t>(token)]));
}

// sum p (log p - log q) = sum p (x - y) - log Z_p + log Z_q, with logits x and y: differences of logits, not of
// logarithms of tiny probabilities, and 0 to the last bit for equal logits.
double KlDivergence(const Prediction& p, const Prediction& q) {
  double sum = 0;
  double weights = 0;
  for (size_t i = 0; i < p.logits.size(); ++i) {
    const double weight = std::exp(p.logits[i] - p.softmax.largest);
    if (weight == 0) continue;  // -inf minus -inf is no number
    weights += weight;
    sum += weight * (double{p.logits[i]} - double{q.logits[i]});
  }
  const double log_z_p = double{p.softmax.largest} + p.softmax.log_sum;
  const double log_z_q = double{q.softmax.largest} + q.softmax.log_sum;
  return sum / weights - log_z_p + log_z_q;
}

}  // namespace

TokenScore ScoreOf(const Prediction& full, Token token) { return {.nll = NegativeLogLikelihood(full, token)}; }

TokenScore ScoreOf(const Prediction& full, std::span<const float> logits, Token token) {
  const Prediction other(logits);
  // Rounding may bring it below 0. A NaN stays one: std::max would make it 0.
  const double kl = KlDivergence(full, other);
  return {.nll = NegativeLogLikelihood(other, token),
          .kl = static_cast<float>(kl < 0 ? 0 : kl),
          .agrees = other.softmax.best == full.softmax.best};
}

}  // namespace qwen_infer::eval
