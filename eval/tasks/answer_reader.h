// Reads prompts with full attention and every setting, and has each way answer them, always with the most likely token.
//
// Each way has a KV cache of its own. What a prompt has in common with the one before is not read again, in whole
// chunks: so a prompt is computed in the same pieces, and has the same answer, whatever was read before it.
#ifndef QWEN_INFER_EVAL_TASKS_ANSWER_READER_H_
#define QWEN_INFER_EVAL_TASKS_ANSWER_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/context.h"
#include "eval/tasks/fit.h"
#include "eval/tasks/options.h"
#include "eval/tasks/result.h"
#include "qwen_infer/engine.h"

namespace qwen_infer::tasks {

// How many tokens of a prompt need not be read again after another one. Whole chunks of those that both begin with, but
// the last token of a prompt is always read: what it predicts is wanted.
size_t TokensKept(std::span<const Token> before, std::span<const Token> prompt);

class AnswerReader {
 public:
  // on_read gets the cost of each part that is done, in the unit of ReadingCost, and how many tokens of the prompt a
  // way has read.
  using OnRead = std::function<void(double cost, int64_t tokens)>;

  // The model has top-k attention. `options` must outlive it. Throws std::runtime_error if there is no room for the
  // caches.
  AnswerReader(std::shared_ptr<Model> model, const Options& options, const std::function<bool()>& is_interrupted);

  // What an example of a task costs at most.
  double CostOf(const Task& task) const;

  // The same of a prompt with so many tokens, of which `kept` are not read again.
  double CostOf(const Task& task, size_t tokens, size_t kept) const;

  // The outcome of each way. At most options.length tokens with the answer. Throws Cancelled if interrupted,
  // std::runtime_error if llama.cpp fails or does not use top-k attention.
  std::vector<Outcome> Read(const Task& task, const Prompt& prompt, const OnRead& on_read);

 private:
  struct Way {
    std::unique_ptr<Context> context;
    double doubling = 0;  // what its depth costs (ReadingCost)
  };

  Outcome ReadWay(size_t way, const Task& task, const Prompt& prompt, size_t kept, const OnRead& on_read);
  void ReadPrompt(Way& way, std::span<const Token> tokens, size_t kept, const OnRead& on_read);
  void Decode(Way& way, std::span<const Token> tokens, size_t position);

  std::shared_ptr<Model> model_;
  const Options& options_;
  std::vector<Way> ways_;
  std::vector<Token> held_;  // the prompt that was read last: in all caches, with an answer of each
  Batch batch_;
};

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_ANSWER_READER_H_
