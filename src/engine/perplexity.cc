#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/log_softmax.h"
#include "engine/session_impl.h"
#include "qwen_infer/engine.h"
#include "topk/parallel.h"

namespace qwen_infer {

namespace {

// Each token's logits are half a megabyte with a vocabulary of 150,000.
constexpr int32_t kTokensAtOnce = 256;

// Log probabilities of the tokens [first, last) of a text, given those from `begin` on.
class Scorer {
 public:
  Scorer(Context& context, std::span<const Token> tokens, int n_threads)
      : context_(context), tokens_(tokens), executor_(topk::OpenMpExecutor(n_threads)) {}

  // Throws Cancelled if interrupted.
  double Score(size_t begin, size_t first, size_t last) {
    context_.Truncate(0, 0);
    double sum = 0;
    // The last token is predicted, but predicts nothing.
    for (size_t at = begin; at + 1 < last;) {
      const size_t end = std::min<size_t>(at + kTokensAtOnce, last - 1);
      batch_.Clear();
      targets_.clear();
      for (size_t i = at; i < end; ++i) {
        const bool counts = i + 1 >= first;
        if (counts) targets_.push_back({batch_.size(), tokens_[i + 1], 0});
        batch_.Add(tokens_[i], static_cast<int64_t>(i - begin), 0, counts);
      }
      if (!context_.Decode(batch_)) throw Cancelled();
      executor_.parallel_for(
          executor_.context, static_cast<int64_t>(targets_.size()),
          [](void* self, int64_t index, int /*worker*/) { static_cast<Scorer*>(self)->ScoreTarget(index); }, this);
      for (const Target& target : targets_) sum += target.log_probability;
      at = end;
    }
    return sum;
  }

 private:
  struct Target {
    int32_t logits;
    Token token;
    double log_probability;
  };

  void ScoreTarget(int64_t index) {
    Target& target = targets_[static_cast<size_t>(index)];
    const std::span<const float> logits = context_.Logits(target.logits);
    target.log_probability = LogSoftmax::Of(logits).LogProbability(logits[static_cast<size_t>(target.token)]);
  }

  Context& context_;
  std::span<const Token> tokens_;
  topk::Executor executor_;
  Batch batch_;
  std::vector<Target> targets_;
};

}  // namespace

PerplexityResult Session::Perplexity(std::string_view text, const PerplexityOptions& options) {
  const int64_t window = options.window == 0 ? impl_->options.context_length : options.window;
  constexpr int64_t kLeastWindow = 2;
  if (window < kLeastWindow || window > impl_->options.context_length) {
    throw std::invalid_argument("window=" + std::to_string(window) + " must be from " + std::to_string(kLeastWindow) +
                                " to context_length=" + std::to_string(impl_->options.context_length));
  }
  const std::vector<Token> tokens = impl_->model->Tokenize(text);
  if (tokens.size() < 2) {
    throw std::invalid_argument("the text has " + std::to_string(tokens.size()) +
                                " tokens: perplexity needs 2, one to predict the other from");
  }
  const size_t size = std::min(tokens.size(), static_cast<size_t>(window));
  Context context(impl_->model, impl_->OtherContext(static_cast<int64_t>(size), 1, kTokensAtOnce, kTokensAtOnce),
                  impl_->is_interrupted);
  Scorer scorer(context, tokens, impl_->options.n_threads);
  double sum = 0;
  size_t scored = 1;  // tokens before this one are done; nothing predicts the first
  for (size_t begin = 0; scored < tokens.size(); begin += size / 2) {
    const size_t end = std::min(begin + size, tokens.size());
    sum += scorer.Score(begin, scored, end);
    scored = end;
  }
  const auto count = static_cast<int64_t>(tokens.size()) - 1;
  return {.perplexity = std::exp(-sum / static_cast<double>(count)), .tokens = count, .log_likelihood = sum};
}

}  // namespace qwen_infer
