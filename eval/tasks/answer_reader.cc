#include "eval/tasks/answer_reader.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/answer.h"
#include "engine/model_impl.h"
#include "engine/stopwatch.h"
#include "eval/window_scores.h"
#include "shared/progress.h"

namespace qwen_infer::tasks {

namespace {

constexpr size_t kChunk = 256;

// What a generated token costs, in tokens that are read at the start of a prompt: a model of half a billion parameters
// on two cores.
constexpr double kGeneratedToken = 8;

double CostOfAnswer(const Task& task) { return kGeneratedToken * static_cast<double>(task.answer_tokens); }

double CostOfPart(size_t at, size_t end, double doubling) {
  return ReadingCost(static_cast<int64_t>(end - at), static_cast<int64_t>(at), doubling);
}

}  // namespace

size_t TokensKept(std::span<const Token> before, std::span<const Token> prompt) {
  const size_t most = std::min(before.size(), prompt.size() - 1);
  const auto first = prompt.first(most);
  return static_cast<size_t>(std::mismatch(first.begin(), first.end(), before.begin()).first - first.begin()) / kChunk *
         kChunk;
}

AnswerReader::AnswerReader(std::shared_ptr<Model> model, const Options& options,
                           const std::function<bool()>& is_interrupted)
    : model_(std::move(model)), options_(options) {
  for (size_t way = 0; way <= options.settings.size(); ++way) {
    const bool is_full = way == eval::kFullAttention;
    const ContextOptions of_context = {.n_ctx = options.length,
                                       .n_batch = kChunk,
                                       .cache_type = ParseCacheType(options.cache_type),
                                       .n_threads = options.threads,
                                       .full_attention = is_full};
    ways_.push_back({.context = std::make_unique<Context>(model_, of_context, is_interrupted),
                     .doubling = is_full ? kFullAttentionDoubling : kTopKDoubling});
  }
}

double AnswerReader::CostOf(const Task& task) const {
  return CostOf(task, static_cast<size_t>(options_.length - task.answer_tokens), 0);
}

double AnswerReader::CostOf(const Task& task, size_t tokens, size_t kept) const {
  double cost = 0;
  for (const Way& way : ways_) cost += CostOfPart(kept, tokens, way.doubling) + CostOfAnswer(task);
  return cost;
}

std::vector<Outcome> AnswerReader::Read(const Task& task, const Prompt& prompt, const OnRead& on_read) {
  const size_t kept = TokensKept(held_, prompt.tokens);
  std::vector<Outcome> outcomes;
  for (size_t way = 0; way < ways_.size(); ++way) outcomes.push_back(ReadWay(way, task, prompt, kept, on_read));
  held_ = prompt.tokens;
  return outcomes;
}

Outcome AnswerReader::ReadWay(size_t way, const Task& task, const Prompt& prompt, size_t kept, const OnRead& on_read) {
  Outcome outcome;
  const bool is_full = way == eval::kFullAttention;
  if (!is_full) {
    const topk::Status status = model_->impl().TopK().SetSettings(options_.settings[way - 1].settings);
    if (!status.ok()) throw std::runtime_error(status.message());
    model_->ResetAttentionStatistics();
  }
  {
    const TimeInto time(outcome.seconds);
    const Context& context = *ways_[way].context;
    ReadPrompt(ways_[way], prompt.tokens, kept, on_read);
    size_t position = prompt.tokens.size();
    Answer answer(*model_, {.max_new_tokens = task.answer_tokens, .sampling = {.temperature = 0}}, prompt.tokens);
    outcome.answer = answer.Sample(*context.get(), -1);
    // Once everything is there, what follows can't change the score.
    while (!answer.is_finished() && ScoreOf(prompt.example.references, outcome.answer) < 1) {
      const Token token = answer.last_token();
      Decode(ways_[way], std::span(&token, 1), position++);
      outcome.answer += answer.Sample(*context.get(), -1);
    }
    outcome.answer += answer.Finish(FinishReason::kStop);
  }
  on_read(CostOfAnswer(task), static_cast<int64_t>(prompt.tokens.size()));
  outcome.score = ScoreOf(prompt.example.references, outcome.answer);
  if (is_full) return outcome;
  outcome.attention = model_->AttentionTotal().sums;
  if (outcome.attention.rows == 0) {
    throw std::runtime_error(
        "top-k attention was not used: llama.cpp gave no attention of this model to it, so there is nothing to "
        "compare");
  }
  return outcome;
}

void AnswerReader::ReadPrompt(Way& way, std::span<const Token> tokens, size_t kept, const OnRead& on_read) {
  size_t at = way.context->Truncate(0, static_cast<int64_t>(kept)) ? kept : 0;
  while (at < tokens.size()) {
    const size_t end = std::min(at + kChunk, tokens.size());
    Decode(way, tokens.subspan(at, end - at), at);
    on_read(CostOfPart(at, end, way.doubling), static_cast<int64_t>(end));
    at = end;
  }
}

void AnswerReader::Decode(Way& way, std::span<const Token> tokens, size_t position) {
  batch_.Clear();
  for (size_t i = 0; i < tokens.size(); ++i) {
    batch_.Add(tokens[i], static_cast<int64_t>(position + i), 0, i + 1 == tokens.size());
  }
  if (!way.context->Decode(batch_)) throw Cancelled();
}

}  // namespace qwen_infer::tasks
