// The inside of a model.
#ifndef QWEN_INFER_SRC_ENGINE_MODEL_IMPL_H_
#define QWEN_INFER_SRC_ENGINE_MODEL_IMPL_H_

#include <chat.h>
#include <llama-cpp.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "ggml/plugin.h"
#include "ggml/settings.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

class Model::Impl {
 public:
  explicit Impl(const ModelOptions& options);

  llama_model& llama() const { return *llama_; }
  const llama_vocab& vocab() const { return *llama_model_get_vocab(llama_.get()); }

  // With this model's kind of attention, or llama.cpp's own. Null if llama.cpp makes none.
  llama_context_ptr MakeContext(llama_context_params params, bool full_attention) const;

  // Throws std::invalid_argument if attention is llama.cpp's.
  TopKContexts& TopK() const;
  // Has attention go by `base` with those that are named in `text` changed. Throws std::invalid_argument, and changes
  // nothing, if that cannot be.
  void TakeSettings(std::string_view text, Settings base) const;

  std::string path;
  bool flash_attention = true;
  std::unique_ptr<TopKContexts> top_k;  // null: attention is llama.cpp's
  uint64_t fingerprint = 0;
  common_chat_templates_ptr templates;

 private:
  llama_model_ptr llama_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_MODEL_IMPL_H_
