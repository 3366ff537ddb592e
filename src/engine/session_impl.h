// The inside of a session.
#ifndef QWEN_INFER_SRC_ENGINE_SESSION_IMPL_H_
#define QWEN_INFER_SRC_ENGINE_SESSION_IMPL_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answer.h"
#include "engine/context.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

class Session::Impl {
 public:
  Impl(std::shared_ptr<Model> model, const SessionOptions& options);

  // Has the cache hold the prompt, whose last token's logits are then there. False if interrupted; the cache then holds
  // a part of it.
  bool Read(std::span<const Token> prompt, GenerationStatistics& statistics);

  // Adds one token. False if interrupted, which changes nothing.
  bool Append(Token token);

  void Clear();

  // Of a context beside the session's.
  ContextOptions OtherContext(int64_t n_ctx, int32_t n_sequence, int32_t n_batch, int32_t n_outputs) const;

  std::shared_ptr<Model> model;
  SessionOptions options;  // with the defaults filled in
  std::function<bool()> is_interrupted;
  std::vector<Token> tokens;  // in the cache
  uint64_t changes = 0;       // counts who changes the session
  Batch batch;
  Context context;

 private:
  bool Decode(std::span<const Token> more);
};

class Generation::Impl {
 public:
  Impl(Session::Impl& session, std::vector<Token> prompt, const GenerateOptions& options);

  std::optional<std::string> Next();
  const Answer& answer() const { return answer_; }

 private:
  // One more token; its text.
  std::string Step();

  Session::Impl* session_;
  uint64_t change_;  // ours
  std::vector<Token> prompt_;
  bool has_read_ = false;
  Answer answer_;
};

// Files of sessions (session_file.cc).
void SaveSession(const Session::Impl& session, const std::string& path, std::string_view note);
std::string LoadSession(Session::Impl& session, const std::string& path);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_SESSION_IMPL_H_
