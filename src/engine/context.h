// A llama_context that can be interrupted.
#ifndef QWEN_INFER_SRC_ENGINE_CONTEXT_H_
#define QWEN_INFER_SRC_ENGINE_CONTEXT_H_

#include <llama-cpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/model_impl.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

struct ContextOptions {
  int64_t n_ctx = 0;       // tokens of a sequence
  int32_t n_sequence = 1;  // each with a cache of its own
  int32_t n_batch = 512;   // tokens that are computed at once
  int32_t n_outputs = 1;   // those of them whose logits are wanted; each takes the memory of a row of the vocabulary
  CacheType cache_type = CacheType::kF16;
  int n_threads = 1;
  bool full_attention = false;  // llama.cpp's own, though the model has top-k attention
};

// Tokens to compute, with where they belong.
class Batch {
 public:
  void Clear();
  void Add(Token token, int64_t position, int32_t sequence, bool wants_logits);
  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  // Refers to this batch, which must not change meanwhile.
  llama_batch View();

 private:
  std::vector<llama_token> tokens_;
  std::vector<llama_pos> positions_;
  std::vector<int32_t> n_sequence_;
  std::vector<llama_seq_id> sequences_;
  std::vector<llama_seq_id*> sequence_pointers_;
  std::vector<int8_t> wants_logits_;
};

class Context {
 public:
  // Throws std::runtime_error if llama.cpp makes none. `is_interrupted` may be null.
  Context(std::shared_ptr<Model> model, const ContextOptions& options, const std::function<bool()>& is_interrupted);

  Context(const Context&) = delete;  // llama.cpp's callback has its address
  Context& operator=(const Context&) = delete;

  llama_context* get() const { return context_.get(); }
  int64_t n_ctx() const { return options_.n_ctx; }
  int32_t n_batch() const { return options_.n_batch; }

  // False if interrupted, which leaves an unknown part of the batch in the cache. Throws std::runtime_error if
  // llama.cpp fails.
  bool Decode(Batch& batch);

  // Has the cache of a sequence end before this position; false if this kind of memory cannot do that: the sequence is
  // then empty.
  bool Truncate(int32_t sequence, int64_t end);

  // After Decode: of the token that was added as the index-th.
  std::span<const float> Logits(int32_t index) const;

 private:
  bool IsInterrupted();

  std::shared_ptr<Model> model_;
  ContextOptions options_;
  std::function<bool()> is_interrupted_;
  std::chrono::steady_clock::time_point next_check_;
  bool interrupted_ = false;  // sticky for one Decode
  llama_context_ptr context_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_CONTEXT_H_
