// Scores what a chunk of tokens predicts: full attention first, then any number of other ways against it.
#ifndef QWEN_INFER_EVAL_CHUNK_SCORER_H_
#define QWEN_INFER_EVAL_CHUNK_SCORER_H_

#include <span>
#include <string>
#include <vector>

#include "qwen_infer/engine.h"
#include "token_score.h"
#include "topk/parallel.h"
#include "window_scores.h"

namespace qwen_infer::eval {

class ChunkScorer {
 public:
  explicit ChunkScorer(int threads) : executor_(topk::OpenMpExecutor(threads)) {}

  // logits: one span for each token, which must stay until the next call of this function; next: the tokens that came.
  // Both functions add to `scores`, and throw std::runtime_error if logits are no numbers.
  void ScoreFull(std::span<const std::span<const float>> logits, std::span<const Token> next, WayScores& scores);

  // Against the last call of ScoreFull. name: of the way, for errors.
  void Score(std::span<const std::span<const float>> logits, std::span<const Token> next, const std::string& name,
             WayScores& scores) const;

 private:
  topk::Executor executor_;
  std::vector<Prediction> full_;
};

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_CHUNK_SCORER_H_
