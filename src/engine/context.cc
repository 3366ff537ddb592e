#include "engine/context.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "engine/log.h"

namespace qwen_infer {

namespace {

// Often enough to seem immediate, too seldom to cost anything.
constexpr std::chrono::milliseconds kCheckPeriod{50};

ggml_type TypeOfCache(CacheType type) {
  switch (type) {
    case CacheType::kF32: return GGML_TYPE_F32;
    case CacheType::kF16: return GGML_TYPE_F16;
    case CacheType::kBF16: return GGML_TYPE_BF16;
    case CacheType::kQ8_0: return GGML_TYPE_Q8_0;
  }
  return GGML_TYPE_F16;
}

}  // namespace

void Batch::Clear() {
  tokens_.clear();
  positions_.clear();
  n_sequence_.clear();
  sequences_.clear();
  wants_logits_.clear();
}

void Batch::Add(Token token, int64_t position, int32_t sequence, bool wants_logits) {
  tokens_.push_back(token);
  positions_.push_back(static_cast<llama_pos>(position));
  n_sequence_.push_back(1);
  sequences_.push_back(sequence);
  wants_logits_.push_back(wants_logits ? 1 : 0);
}

llama_batch Batch::View() {
  sequence_pointers_.clear();
  for (llama_seq_id& sequence : sequences_) sequence_pointers_.push_back(&sequence);
  return {.n_tokens = size(),
          .token = tokens_.data(),
          .embd = nullptr,
          .pos = positions_.data(),
          .n_seq_id = n_sequence_.data(),
          .seq_id = sequence_pointers_.data(),
          .logits = wants_logits_.data()};
}

Context::Context(std::shared_ptr<Model> model, const ContextOptions& options,
                 const std::function<bool()>& is_interrupted)
    : model_(std::move(model)), options_(options), is_interrupted_(is_interrupted) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(options.n_ctx * options.n_sequence);
  params.n_seq_max = static_cast<uint32_t>(options.n_sequence);
  params.n_batch = static_cast<uint32_t>(options.n_batch);
  params.n_ubatch = params.n_batch;
  params.n_outputs_max = static_cast<uint32_t>(options.n_outputs);
  params.n_threads = options.n_threads;
  params.n_threads_batch = options.n_threads;
  params.type_k = TypeOfCache(options.cache_type);
  params.type_v = params.type_k;
  params.no_perf = true;
  params.abort_callback = [](void* data) { return static_cast<Context*>(data)->IsInterrupted(); };
  params.abort_callback_data = this;
  ForgetErrors();
  context_ = model_->impl().MakeContext(params, options.full_attention);
  if (context_ == nullptr) {
    throw std::runtime_error(
        WithErrors("no room for a context of " + std::to_string(options.n_ctx) + " tokens" +
                   (options.n_sequence > 1 ? " for each of " + std::to_string(options.n_sequence) + " prompts" : "") +
                   ": lower context_length, or use an 8-bit cache"));
  }
}

bool Context::IsInterrupted() {
  if (interrupted_ || is_interrupted_ == nullptr) return interrupted_;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_check_) return false;
  next_check_ = now + kCheckPeriod;
  interrupted_ = is_interrupted_();
  return interrupted_;
}

bool Context::Decode(Batch& batch) {
  constexpr int32_t kAborted = 2;
  interrupted_ = false;
  if (IsInterrupted()) return false;
  ForgetErrors();
  TopKContexts* top_k = options_.full_attention ? nullptr : model_->impl().top_k.get();
  if (top_k != nullptr) top_k->ForgetError();
  const int32_t code = llama_decode(context_.get(), batch.View());
  llama_synchronize(context_.get());
  if (interrupted_ || code == kAborted) return false;
  if (code == 0) return true;
  if (const std::string reason = top_k == nullptr ? "" : top_k->LastError(); !reason.empty()) {
    throw std::runtime_error("top-k attention: " + reason);
  }
  throw std::runtime_error(WithErrors("llama.cpp could not compute (code " + std::to_string(code) + ")"));
}

bool Context::Truncate(int32_t sequence, int64_t end) {
  llama_memory_t memory = llama_get_memory(context_.get());
  if (llama_memory_seq_rm(memory, sequence, static_cast<llama_pos>(end), -1)) return true;
  llama_memory_seq_rm(memory, sequence, -1, -1);
  return false;
}

std::span<const float> Context::Logits(int32_t index) const {
  const float* logits = llama_get_logits_ith(context_.get(), index);
  if (logits == nullptr) throw std::runtime_error("llama.cpp gave no logits");
  return {logits, static_cast<size_t>(llama_vocab_n_tokens(&model_->impl().vocab()))};
}

}  // namespace qwen_infer
