#include <common.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/sampling.h"
#include "engine/session_impl.h"
#include "engine/stopwatch.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

namespace {

constexpr std::array<std::string_view, 4> kCacheTypes = {"f32", "f16", "bf16", "q8_0"};

// llama.cpp would round up.
constexpr int64_t kContextStep = 256;
constexpr int64_t kMaxContext = int64_t{1} << 30;

SessionOptions WithDefaults(const Model& model, SessionOptions options) {
  if (options.context_length == 0) {
    options.context_length = std::min(kDefaultContextLength, model.trained_context_length());
  }
  if (options.context_length < 1 || options.context_length > kMaxContext) {
    throw std::invalid_argument("context_length=" + std::to_string(options.context_length) + " must be from 1 to " +
                                std::to_string(kMaxContext));
  }
  constexpr int kMaxThreads = 512;  // GGML_MAX_N_THREADS
  if (options.n_threads == 0) options.n_threads = common_cpu_get_num_math();
  if (options.n_threads < 1 || options.n_threads > kMaxThreads) {
    throw std::invalid_argument("num_threads=" + std::to_string(options.n_threads) + " must be from 1 to " +
                                std::to_string(kMaxThreads));
  }
  return options;
}

}  // namespace

CacheType ParseCacheType(std::string_view name) {
  const auto* const found = std::find(kCacheTypes.begin(), kCacheTypes.end(), name);
  if (found != kCacheTypes.end()) return static_cast<CacheType>(found - kCacheTypes.begin());
  throw std::invalid_argument("kv_cache_type='" + std::string(name) + "' must be f32, f16, bf16 or q8_0");
}

// ---- Session::Impl ----

Session::Impl::Impl(std::shared_ptr<Model> its_model, const SessionOptions& its_options)
    : model(std::move(its_model)),
      options(WithDefaults(*model, its_options)),
      context(model, OtherContext(options.context_length, 1, ContextOptions().n_batch, 1),
              [this] { return is_interrupted != nullptr && is_interrupted(); }) {}

ContextOptions Session::Impl::OtherContext(int64_t n_ctx, int32_t n_sequence, int32_t n_batch,
                                           int32_t n_outputs) const {
  return {.n_ctx = (n_ctx + kContextStep - 1) / kContextStep * kContextStep,
          .n_sequence = n_sequence,
          .n_batch = n_batch,
          .n_outputs = n_outputs,
          .cache_type = options.cache_type,
          .n_threads = options.n_threads};
}

bool Session::Impl::Decode(std::span<const Token> more) {
  batch.Clear();
  for (const Token token : more) {
    const auto position = static_cast<int64_t>(tokens.size()) + batch.size();
    batch.Add(token, position, 0, batch.size() + 1 == static_cast<int32_t>(more.size()));
  }
  bool done = false;
  try {
    done = context.Decode(batch);
  } catch (...) {
    if (!context.Truncate(0, static_cast<int64_t>(tokens.size()))) tokens.clear();
    throw;
  }
  if (done) {
    tokens.insert(tokens.end(), more.begin(), more.end());
  } else if (!context.Truncate(0, static_cast<int64_t>(tokens.size()))) {
    tokens.clear();
  }
  return done;
}

bool Session::Impl::Append(Token token) { return Decode(std::span(&token, 1)); }

bool Session::Impl::Read(std::span<const Token> prompt, GenerationStatistics& statistics) {
  const TimeInto time(statistics.prompt_seconds);
  const auto differs = std::mismatch(prompt.begin(), prompt.end(), tokens.begin(), tokens.end()).first;
  // The last token is read again in any case: it is its logits that one wants.
  const size_t shared = std::min<size_t>(differs - prompt.begin(), prompt.size() - 1);
  if (shared < tokens.size()) {
    tokens.resize(context.Truncate(0, static_cast<int64_t>(shared)) ? shared : 0);
  }
  statistics.cached_tokens = static_cast<int64_t>(tokens.size());
  while (tokens.size() < prompt.size()) {
    const size_t count = std::min<size_t>(prompt.size() - tokens.size(), context.n_batch());
    if (!Decode(prompt.subspan(tokens.size(), count))) return false;
  }
  return true;
}

void Session::Impl::Clear() {
  context.Truncate(0, 0);
  tokens.clear();
}

// ---- Session ----

Session::Session(std::shared_ptr<Model> model, const SessionOptions& options) {
  if (model == nullptr) throw std::invalid_argument("a session needs a model");
  impl_ = std::make_unique<Impl>(std::move(model), options);
}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

const Model& Session::model() const { return *impl_->model; }
int64_t Session::context_length() const { return impl_->options.context_length; }
int Session::n_threads() const { return impl_->options.n_threads; }
std::span<const Token> Session::tokens() const { return impl_->tokens; }

void Session::Clear() {
  ++impl_->changes;
  impl_->Clear();
}

void Session::SetInterruptCheck(std::function<bool()> is_interrupted) {
  impl_->is_interrupted = std::move(is_interrupted);
}

Generation Session::Start(std::string_view prompt, const GenerateOptions& options) {
  CheckOptions(options);
  std::vector<Token> tokens = TokenizePrompt(*impl_->model, prompt, impl_->options.context_length);
  return Generation(std::make_unique<Generation::Impl>(*impl_, std::move(tokens), options));
}

GenerationResult Session::Generate(std::string_view prompt, const GenerateOptions& options,
                                   const std::function<bool(std::string_view)>& on_text) {
  Generation generation = Start(prompt, options);
  GenerationResult result;
  while (const std::optional<std::string> text = generation.Next()) {
    result.text += *text;
    if (on_text != nullptr && !on_text(*text)) {
      result.finish_reason = FinishReason::kCancelled;
      break;
    }
  }
  if (result.finish_reason == FinishReason::kNotFinished) result.finish_reason = generation.finish_reason();
  result.statistics = generation.statistics();
  return result;
}

void Session::Save(const std::string& path, std::string_view note) const { SaveSession(*impl_, path, note); }

std::string Session::Load(const std::string& path) {
  ++impl_->changes;
  return LoadSession(*impl_, path);
}

}  // namespace qwen_infer
