#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/session_impl.h"
#include "engine/stopwatch.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

std::string_view NameOf(FinishReason reason) {
  constexpr std::array<std::string_view, 6> kNames = {"not_finished", "end_of_text",  "stop",
                                                      "length",       "context_full", "cancelled"};
  return kNames.at(static_cast<size_t>(reason));
}

// ---- Generation::Impl ----

Generation::Impl::Impl(Session::Impl& session, std::vector<Token> prompt, const GenerateOptions& options)
    : session_(&session),
      change_(++session.changes),
      prompt_(std::move(prompt)),
      answer_(*session.model, options, prompt_) {}

std::optional<std::string> Generation::Impl::Next() {
  if (answer_.is_finished()) return std::nullopt;
  if (change_ != session_->changes) {
    throw std::runtime_error("this answer cannot go on: its session was used for something else meanwhile");
  }
  while (!answer_.is_finished()) {
    std::string text = Step();
    if (!text.empty()) return text;
  }
  return std::nullopt;
}

std::string Generation::Impl::Step() {
  GenerationStatistics& statistics = answer_.statistics();
  if (!has_read_) {
    if (!session_->Read(prompt_, statistics)) {
      statistics.prompt_tokens = static_cast<int64_t>(session_->tokens.size());
      return answer_.Finish(FinishReason::kCancelled);
    }
    has_read_ = true;
    const TimeInto time(statistics.generation_seconds);
    return answer_.Sample(*session_->context.get(), -1);
  }
  const TimeInto time(statistics.generation_seconds);
  if (static_cast<int64_t>(session_->tokens.size()) >= session_->options.context_length) {
    return answer_.Finish(FinishReason::kContextFull);
  }
  if (!session_->Append(answer_.last_token())) return answer_.Finish(FinishReason::kCancelled);
  return answer_.Sample(*session_->context.get(), -1);
}

// ---- Generation ----

Generation::Generation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Generation::~Generation() = default;
Generation::Generation(Generation&&) noexcept = default;
Generation& Generation::operator=(Generation&&) noexcept = default;

std::optional<std::string> Generation::Next() { return impl_->Next(); }
FinishReason Generation::finish_reason() const { return impl_->answer().finish_reason(); }
const GenerationStatistics& Generation::statistics() const { return impl_->answer().statistics(); }

}  // namespace qwen_infer
