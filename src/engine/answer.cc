#include "engine/answer.h"

#include <common.h>

#include <stdexcept>
#include <vector>

#include "engine/model_impl.h"
#include "engine/sampling.h"

namespace qwen_infer {

Answer::Answer(const Model& model, const GenerateOptions& options, std::span<const Token> prompt)
    : vocab_(&model.impl().vocab()),
      max_new_tokens_(options.max_new_tokens),
      sampler_(MakeSampler(model.impl().llama(), options.sampling, prompt)),
      stream_(options.stop) {
  statistics_.prompt_tokens = static_cast<int64_t>(prompt.size());
}

std::string Answer::Sample(llama_context& context, int32_t index) {
  last_token_ = common_sampler_sample(sampler_.get(), &context, index);
  common_sampler_accept(sampler_.get(), last_token_, /*is_generated=*/true);
  if (llama_vocab_is_eog(vocab_, last_token_)) return Finish(FinishReason::kEndOfText);
  ++statistics_.generated_tokens;
  std::string text = stream_.Add(common_token_to_piece(vocab_, last_token_, /*special=*/false));
  if (stream_.stopped()) return text + Finish(FinishReason::kStop);
  if (statistics_.generated_tokens >= max_new_tokens_) return text + Finish(FinishReason::kLength);
  return text;
}

std::string Answer::Finish(FinishReason reason) {
  if (is_finished()) return "";
  finish_reason_ = reason;
  return stream_.Finish();
}

std::vector<Token> TokenizePrompt(const Model& model, std::string_view prompt, int64_t context_length) {
  std::vector<Token> tokens = model.Tokenize(prompt);
  if (tokens.empty()) throw std::invalid_argument("the prompt is empty: the model needs something to go on from");
  if (static_cast<int64_t>(tokens.size()) >= context_length) {
    throw std::invalid_argument("the prompt has " + std::to_string(tokens.size()) +
                                " tokens, and context_length=" + std::to_string(context_length) +
                                " leaves no room for an answer: raise it, or shorten the prompt");
  }
  return tokens;
}

}  // namespace qwen_infer
