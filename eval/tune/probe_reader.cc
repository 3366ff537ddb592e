#include "eval/tune/probe_reader.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "engine/model_impl.h"
#include "engine/stopwatch.h"
#include "eval/tune/probes.h"
#include "shared/progress.h"

namespace qwen_infer::tune {

namespace {

constexpr size_t kChunk = 256;

ContextOptions ContextFor(const eval::Options& options, int64_t probed) {
  return {.n_ctx = options.window,
          .n_batch = static_cast<int32_t>(std::max<int64_t>(kChunk, probed)),
          .n_outputs = static_cast<int32_t>(probed),
          .cache_type = ParseCacheType(options.cache_type),
          .n_threads = options.threads};
}

double CostOf(size_t at, size_t end) {
  return ReadingCost(static_cast<int64_t>(end - at), static_cast<int64_t>(at), kTopKDoubling);
}

}  // namespace

ProbeReader::ProbeReader(std::shared_ptr<Model> model, const eval::Options& options,
                         std::span<const eval::Setting> settings, int64_t probed,
                         const std::function<bool()>& is_interrupted)
    : model_(std::move(model)),
      settings_(settings),
      window_(static_cast<size_t>(options.window)),
      probed_(static_cast<size_t>(probed)),
      context_(model_, ContextFor(options, probed), is_interrupted),
      scorer_(options.threads) {}

double ProbeReader::CostOfWindow() const {
  const size_t end = window_ - 1;
  const double probe = CostOf(end - probed_, end);
  return CostOf(0, end - probed_) + probe * static_cast<double>(settings_.size() + 1);
}

eval::WindowScores ProbeReader::Read(std::span<const Token> window,
                                     const std::function<void(double cost, int64_t tokens)>& on_read) {
  // The last token is predicted, but predicts nothing.
  const size_t end = window.size() - 1;
  const size_t start = end - probed_;
  const std::span<const Token> next = window.subspan(start + 1);
  context_.Truncate(0, 0);
  for (size_t at = 0; at < start; at += kChunk) {
    const size_t chunk_end = std::min(at + kChunk, start);
    Decode(window, at, chunk_end, KeepAll(), /*wants_logits=*/false);
    on_read(CostOf(at, chunk_end), static_cast<int64_t>(chunk_end));
  }
  eval::WindowScores scores(settings_.size() + 1);
  const auto read_end = [&](const Settings& settings, eval::WayScores& way) {
    const TimeInto time(way.seconds);
    model_->ResetAttentionStatistics();
    Decode(window, start, end, settings, /*wants_logits=*/true);
    way.attention = model_->AttentionTotal().sums;
    if (way.attention.rows == 0) {
      throw std::runtime_error(
          "top-k attention was not used: llama.cpp gave no attention of this model to it, so there is nothing to tune");
    }
  };

  eval::WayScores& full = scores[eval::kFullAttention];
  read_end(KeepAll(), full);
  full_logits_.clear();
  for (const std::span<const float> row : Logits(probed_))
    full_logits_.insert(full_logits_.end(), row.begin(), row.end());
  std::vector<std::span<const float>> kept;
  const size_t n_vocab = full_logits_.size() / probed_;
  for (size_t i = 0; i < probed_; ++i) kept.emplace_back(full_logits_.data() + i * n_vocab, n_vocab);
  scorer_.ScoreFull(kept, next, full);
  on_read(CostOf(start, end), static_cast<int64_t>(end));

  for (size_t i = 0; i < settings_.size(); ++i) {
    if (!context_.Truncate(0, static_cast<int64_t>(start))) {
      throw std::runtime_error("this model's memory cannot go back to an earlier token, which tuning needs");
    }
    eval::WayScores& way = scores[i + 1];
    read_end(settings_[i].settings, way);
    scorer_.Score(Logits(probed_), next, settings_[i].name, way);
    on_read(CostOf(start, end), static_cast<int64_t>(end));
  }
  return scores;
}

void ProbeReader::Decode(std::span<const Token> window, size_t at, size_t end, const Settings& settings,
                         bool wants_logits) {
  const topk::Status status = model_->impl().TopK().SetSettings(settings);
  if (!status.ok()) throw std::runtime_error(status.message());
  batch_.Clear();
  for (size_t i = at; i < end; ++i) batch_.Add(window[i], static_cast<int64_t>(i), 0, wants_logits);
  if (!context_.Decode(batch_)) throw Cancelled();
}

std::vector<std::span<const float>> ProbeReader::Logits(size_t count) const {
  std::vector<std::span<const float>> logits;
  for (size_t i = 0; i < count; ++i) logits.push_back(context_.Logits(static_cast<int32_t>(i)));
  return logits;
}

}  // namespace qwen_infer::tune
