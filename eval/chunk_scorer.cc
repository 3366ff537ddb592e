#include "chunk_scorer.h"

#include <cmath>
#include <cstdint>
#include <stdexcept>

namespace qwen_infer::eval {

namespace {

// Calls fn(index) for 0 to count - 1 on the executor's threads.
template <typename Fn>
void ParallelFor(const topk::Executor& executor, size_t count, Fn fn) {
  executor.parallel_for(
      executor.context, static_cast<int64_t>(count),
      [](void* state, int64_t index, int /*worker*/) { (*static_cast<Fn*>(state))(static_cast<size_t>(index)); }, &fn);
}

void Append(const std::vector<TokenScore>& of_tokens, const std::string& name, WayScores& scores) {
  for (const TokenScore& score : of_tokens) {
    if (!std::isfinite(score.nll) || !std::isfinite(score.kl)) {
      throw std::runtime_error("the model gave logits that are no numbers with " + name);
    }
    scores.nll.push_back(score.nll);
    scores.kl.push_back(score.kl);
    scores.agrees.push_back(score.agrees ? 1 : 0);
  }
}

}  // namespace

void ChunkScorer::ScoreFull(std::span<const std::span<const float>> logits, std::span<const Token> next,
                            WayScores& scores) {
  full_.assign(logits.size(), Prediction());
  std::vector<TokenScore> of_tokens(logits.size());
  ParallelFor(executor_, logits.size(), [&](size_t i) {
    full_[i] = Prediction(logits[i]);
    of_tokens[i] = ScoreOf(full_[i], next[i]);
  });
  Append(of_tokens, "full attention", scores);
}

void ChunkScorer::Score(std::span<const std::span<const float>> logits, std::span<const Token> next,
                        const std::string& name, WayScores& scores) const {
  std::vector<TokenScore> of_tokens(logits.size());
  ParallelFor(executor_, logits.size(), [&](size_t i) { of_tokens[i] = ScoreOf(full_[i], logits[i], next[i]); });
  Append(of_tokens, name, scores);
}

}  // namespace qwen_infer::eval
