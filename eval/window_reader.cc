#include "window_reader.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/model_impl.h"
#include "engine/stopwatch.h"
#include "shared/progress.h"

namespace qwen_infer::eval {

namespace {

constexpr size_t kChunk = 256;

double CostOf(size_t way, size_t tokens, size_t depth) {
  return ReadingCost(static_cast<int64_t>(tokens), static_cast<int64_t>(depth),
                     way == kFullAttention ? kFullAttentionDoubling : kTopKDoubling);
}

}  // namespace

WindowReader::WindowReader(std::shared_ptr<Model> model, const Options& options,
                           const std::function<bool()>& is_interrupted)
    : model_(std::move(model)), options_(options), scorer_(options.threads) {
  for (size_t way = 0; way <= options.settings.size(); ++way) {
    const ContextOptions of_context = {.n_ctx = options.window,
                                       .n_batch = kChunk,
                                       .n_outputs = kChunk,
                                       .cache_type = ParseCacheType(options.cache_type),
                                       .n_threads = options.threads,
                                       .full_attention = way == kFullAttention};
    contexts_.push_back(std::make_unique<Context>(model_, of_context, is_interrupted));
  }
}

double WindowReader::CostOfWindow() const {
  const auto tokens = static_cast<size_t>(options_.window) - 1;
  double cost = 0;
  for (size_t way = 0; way < contexts_.size(); ++way) cost += CostOf(way, tokens, 0);
  return cost;
}

WindowScores WindowReader::Read(std::span<const Token> window,
                                const std::function<void(double cost, int64_t tokens)>& on_read) {
  for (const std::unique_ptr<Context>& context : contexts_) context->Truncate(0, 0);
  WindowScores scores(contexts_.size());
  // The last token is predicted, but predicts nothing.
  for (size_t at = 0; at + 1 < window.size();) {
    const size_t end = std::min(at + kChunk, window.size() - 1);
    for (size_t way = 0; way < contexts_.size(); ++way) {
      ReadChunk(way, window, at, end, scores[way]);
      ScoreChunk(way, window, at, end, scores[way]);
      on_read(CostOf(way, end - at, at), static_cast<int64_t>(end));
    }
    at = end;
  }
  return scores;
}

void WindowReader::ReadChunk(size_t way, std::span<const Token> window, size_t at, size_t end, WayScores& scores) {
  batch_.Clear();
  for (size_t i = at; i < end; ++i) batch_.Add(window[i], static_cast<int64_t>(i), 0, true);
  if (way != kFullAttention) {
    const topk::Status status = model_->impl().TopK().SetSettings(options_.settings[way - 1].settings);
    if (!status.ok()) throw std::runtime_error(status.message());
    model_->ResetAttentionStatistics();
  }
  {
    const TimeInto time(scores.seconds);
    if (!contexts_[way]->Decode(batch_)) throw Cancelled();
  }
  if (way == kFullAttention) return;
  const topk::Statistics attention = model_->AttentionTotal().sums;
  if (attention.rows == 0) {
    throw std::runtime_error(
        "top-k attention was not used: llama.cpp gave no attention of this model to it, so there is nothing to "
        "compare");
  }
  scores.attention.Add(attention);
}

void WindowReader::ScoreChunk(size_t way, std::span<const Token> window, size_t at, size_t end, WayScores& scores) {
  // On this thread: llama.cpp sorts its outputs when the first of them is asked for.
  std::vector<std::span<const float>> logits;
  for (size_t i = at; i < end; ++i) logits.push_back(contexts_[way]->Logits(static_cast<int32_t>(i - at)));
  const std::span<const Token> next = window.subspan(at + 1, end - at);
  if (way == kFullAttention) {
    scorer_.ScoreFull(logits, next, scores);
  } else {
    scorer_.Score(logits, next, options_.settings[way - 1].name, scores);
  }
}

}  // namespace qwen_infer::eval
