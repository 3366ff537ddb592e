// Several prompts at once, each a sequence of one context; when an answer ends, the next prompt takes its place.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/sampling.h"
#include "engine/session_impl.h"
#include "engine/stopwatch.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

class ParallelAnswers {
 public:
  ParallelAnswers(const Model& model, const GenerateOptions& options, std::span<const std::vector<Token>> prompts,
                  Context& context, int32_t n_sequence, int64_t context_length)
      : model_(model),
        options_(options),
        prompts_(prompts),
        context_(context),
        context_length_(context_length),
        results_(prompts.size()) {
    for (int32_t i = 0; i < n_sequence; ++i) sequences_.push_back({.index = i});
  }

  std::vector<GenerationResult> Run() {
    for (Sequence& sequence : sequences_) Begin(sequence);
    while (Fill()) {
      double seconds = 0;
      bool done = false;
      {
        const TimeInto time(seconds);
        done = context_.Decode(batch_);
      }
      if (!done) {
        Cancel();
        break;
      }
      for (Sequence& sequence : sequences_) Advance(sequence, seconds);
    }
    return std::move(results_);
  }

 private:
  struct Sequence {
    int32_t index = 0;
    size_t prompt = 0;                         // which one
    std::unique_ptr<Answer> answer = nullptr;  // null: nothing to do
    size_t n_read = 0;                         // tokens of the prompt that are in the cache or the batch
    int64_t n_tokens = 0;                      // all tokens that are there
    int32_t logits = -1;  // where in the batch the token is that the next one is sampled from; -1: nowhere
  };

  void Begin(Sequence& sequence) {
    sequence.answer = nullptr;
    if (next_ == prompts_.size()) return;
    context_.Truncate(sequence.index, 0);
    sequence.prompt = next_++;
    sequence.answer = std::make_unique<Answer>(model_, options_, prompts_[sequence.prompt]);
    sequence.n_read = 0;
    sequence.n_tokens = 0;
  }

  // What is to be computed next: the last tokens of all that generate, then as much as there is room for of prompts.
  bool Fill() {
    batch_.Clear();
    for (Sequence& sequence : sequences_) {
      sequence.logits = -1;
      if (sequence.answer == nullptr || sequence.n_read < prompts_[sequence.prompt].size()) continue;
      sequence.logits = batch_.size();
      batch_.Add(sequence.answer->last_token(), sequence.n_tokens++, sequence.index, true);
    }
    for (Sequence& sequence : sequences_) {
      if (sequence.answer == nullptr) continue;
      const std::vector<Token>& prompt = prompts_[sequence.prompt];
      while (sequence.n_read < prompt.size() && batch_.size() < context_.n_batch()) {
        const bool is_last = sequence.n_read + 1 == prompt.size();
        if (is_last) sequence.logits = batch_.size();
        batch_.Add(prompt[sequence.n_read++], sequence.n_tokens++, sequence.index, is_last);
      }
    }
    return batch_.size() > 0;
  }

  void Advance(Sequence& sequence, double seconds) {
    if (sequence.answer == nullptr) return;
    Answer& answer = *sequence.answer;
    GenerationResult& result = results_[sequence.prompt];
    (answer.statistics().generated_tokens == 0 ? answer.statistics().prompt_seconds
                                               : answer.statistics().generation_seconds) += seconds;
    if (sequence.logits < 0) return;
    result.text += answer.Sample(*context_.get(), sequence.logits);
    if (sequence.n_tokens >= context_length_) result.text += answer.Finish(FinishReason::kContextFull);
    if (answer.is_finished()) End(sequence);
  }

  void End(Sequence& sequence) {
    GenerationResult& result = results_[sequence.prompt];
    result.finish_reason = sequence.answer->finish_reason();
    result.statistics = sequence.answer->statistics();
    Begin(sequence);
  }

  void Cancel() {
    const size_t begun = next_;
    next_ = prompts_.size();
    for (Sequence& sequence : sequences_) {
      if (sequence.answer == nullptr) continue;
      results_[sequence.prompt].text += sequence.answer->Finish(FinishReason::kCancelled);
      End(sequence);
    }
    for (size_t i = begun; i < results_.size(); ++i) results_[i].finish_reason = FinishReason::kCancelled;
  }

  const Model& model_;
  const GenerateOptions& options_;
  std::span<const std::vector<Token>> prompts_;
  Context& context_;
  int64_t context_length_;
  std::vector<GenerationResult> results_;
  std::vector<Sequence> sequences_;
  size_t next_ = 0;
  Batch batch_;
};

}  // namespace

std::vector<GenerationResult> Session::GenerateBatch(std::span<const std::string> prompts,
                                                     const GenerateOptions& options) {
  CheckOptions(options);
  std::vector<std::vector<Token>> tokens;
  size_t longest = 0;
  for (const std::string& prompt : prompts) {
    tokens.push_back(TokenizePrompt(*impl_->model, prompt, impl_->options.context_length));
    longest = std::max(longest, tokens.back().size());
  }
  if (tokens.empty()) return {};
  const auto n_sequence = static_cast<int32_t>(std::min(tokens.size(), kMaxParallel));
  const int64_t n_ctx = std::min(static_cast<int64_t>(longest) + options.max_new_tokens, impl_->options.context_length);
  Context context(impl_->model, impl_->OtherContext(n_ctx, n_sequence, impl_->context.n_batch(), n_sequence),
                  impl_->is_interrupted);
  return ParallelAnswers(*impl_->model, options, tokens, context, n_sequence, n_ctx).Run();
}

}  // namespace qwen_infer
