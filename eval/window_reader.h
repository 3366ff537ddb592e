// Reads windows of tokens with full attention and every setting, and scores what each predicts.
//
// All ways read a chunk of a window before the next chunk: only that chunk's logits of full attention are ever kept,
// whatever the window's length, and what is compared has run right after one another. Each way has a KV cache of its
// own, and room for the logits of a chunk: half a megabyte a token with a vocabulary of 150,000.
#ifndef QWEN_INFER_EVAL_WINDOW_READER_H_
#define QWEN_INFER_EVAL_WINDOW_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "chunk_scorer.h"
#include "engine/context.h"
#include "options.h"
#include "qwen_infer/engine.h"
#include "window_scores.h"

namespace qwen_infer::eval {

class WindowReader {
 public:
  // The model has top-k attention. `options` must outlive it. Throws std::runtime_error if there is no room for the
  // caches.
  WindowReader(std::shared_ptr<Model> model, const Options& options, const std::function<bool()>& is_interrupted);

  // What a window costs, in the unit of ReadingCost.
  double CostOfWindow() const;

  // At least two tokens, at most options.window. on_read gets the cost of each part that is done, and how many tokens
  // all ways have read. Throws Cancelled if interrupted, std::runtime_error if llama.cpp fails, gives logits that are
  // no numbers, or does not use top-k attention.
  WindowScores Read(std::span<const Token> window, const std::function<void(double cost, int64_t tokens)>& on_read);

 private:
  // Of the tokens [at, end) of the window.
  void ReadChunk(size_t way, std::span<const Token> window, size_t at, size_t end, WayScores& scores);
  void ScoreChunk(size_t way, std::span<const Token> window, size_t at, size_t end, WayScores& scores);

  std::shared_ptr<Model> model_;
  const Options& options_;
  std::vector<std::unique_ptr<Context>> contexts_;  // by way
  Batch batch_;
  ChunkScorer scorer_;
};

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_WINDOW_READER_H_
