// One answer in the making: samples tokens and turns them into text until something ends it.
#ifndef QWEN_INFER_SRC_ENGINE_ANSWER_H_
#define QWEN_INFER_SRC_ENGINE_ANSWER_H_

#include <sampling.h>

#include <span>
#include <string>

#include "engine/text_stream.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

class Answer {
 public:
  // `model` must outlive it.
  Answer(const Model& model, const GenerateOptions& options, std::span<const Token> prompt);

  // Takes the next token from the logits of the index-th token of the last batch, and returns the text that is certain
  // by now; it may be empty. Sets finish_reason() if that was the last one.
  std::string Sample(llama_context& context, int32_t index);

  // Ends it, unless it has ended; the text that was held back.
  std::string Finish(FinishReason reason);

  Token last_token() const { return last_token_; }
  bool is_finished() const { return finish_reason_ != FinishReason::kNotFinished; }
  FinishReason finish_reason() const { return finish_reason_; }
  GenerationStatistics& statistics() { return statistics_; }
  const GenerationStatistics& statistics() const { return statistics_; }

 private:
  const llama_vocab* vocab_;
  int64_t max_new_tokens_;
  common_sampler_ptr sampler_;
  TextStream stream_;
  Token last_token_ = 0;
  FinishReason finish_reason_ = FinishReason::kNotFinished;
  GenerationStatistics statistics_;
};

// The tokens of a prompt. Throws std::invalid_argument unless there are some, and fewer than `context_length`.
std::vector<Token> TokenizePrompt(const Model& model, std::string_view prompt, int64_t context_length);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_ANSWER_H_
