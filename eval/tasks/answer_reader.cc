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

double CostOfPart(size_t at, size_t end, double doubling) {
  return ReadingCost(static_cast<int64_t>(end - at), static_cast<int64_t>(at), doubling);
}

size_t InCommon(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

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
  double cost = 0;
  for (const Way& way : ways_) {
    cost += CostOfPart(0, static_cast<size_t>(options_.length - task.answer_tokens), way.doubling) +
            kGeneratedToken * static_cast<double>(task.answer_tokens);
  }
  return cost;
}

std::vector<Outcome> AnswerReader::Read(const Task& task, const Prompt& prompt, const OnRead& on_read) {
  std::vector<Outcome> outcomes;
  for (size_t way = 0; way < ways_.size(); ++way) outcomes.push_back(ReadWay(way, task, prompt, on_read));
  return outcomes;
}

Outcome AnswerReader::ReadWay(size_t way, const Task& task, const Prompt& prompt, const OnRead& on_read) {
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
    ReadPrompt(ways_[way], prompt.tokens, on_read);
    Answer answer(*model_, {.max_new_tokens = task.answer_tokens, .sampling = {.temperature = 0}}, prompt.tokens);
    outcome.answer = answer.Sample(*context.get(), -1);
    // Once everything is there, what follows can't change the score.
    while (!answer.is_finished() && ScoreOf(prompt.example.references, outcome.answer) < 1) {
      const Token token = answer.last_token();
      Decode(ways_[way], std::span(&token, 1));
      outcome.answer += answer.Sample(*context.get(), -1);
    }
    outcome.answer += answer.Finish(FinishReason::kStop);
  }
  on_read(kGeneratedToken * static_cast<double>(task.answer_tokens), static_cast<int64_t>(prompt.tokens.size()));
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

void AnswerReader::ReadPrompt(Way& way, std::span<const Token> tokens, const OnRead& on_read) {
  // The last token is read in any case: what it predicts is wanted.
  const size_t shared = std::min(InCommon(way.held, tokens), tokens.size() - 1) / kChunk * kChunk;
  way.held.resize(way.context->Truncate(0, static_cast<int64_t>(shared)) ? shared : 0);
  on_read(CostOfPart(0, way.held.size(), way.doubling), static_cast<int64_t>(way.held.size()));
  while (way.held.size() < tokens.size()) {
    const size_t at = way.held.size();
    Decode(way, tokens.subspan(at, std::min(kChunk, tokens.size() - at)));
    on_read(CostOfPart(at, way.held.size(), way.doubling), static_cast<int64_t>(way.held.size()));
  }
}

void AnswerReader::Decode(Way& way, std::span<const Token> tokens) {
  batch_.Clear();
  const size_t at = way.held.size();
  for (size_t i = 0; i < tokens.size(); ++i) {
    batch_.Add(tokens[i], static_cast<int64_t>(at + i), 0, i + 1 == tokens.size());
  }
  if (!way.context->Decode(batch_)) throw Cancelled();
  way.held.insert(way.held.end(), tokens.begin(), tokens.end());
}

}  // namespace qwen_infer::tasks
