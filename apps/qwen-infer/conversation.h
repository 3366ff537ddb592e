// A chat with a model, without the terminal: its messages, and the session that has read them.
#ifndef QWEN_INFER_APPS_CONVERSATION_H_
#define QWEN_INFER_APPS_CONVERSATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perf_hooks.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

struct ConversationOptions {
  SessionOptions session;
  GenerateOptions generation;
  std::optional<bool> enable_thinking;
  std::string system_prompt;  // may be empty
};

// Messages and an answer do not fit into the context together.
class ContextFull : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Functions that throw leave the conversation as it was.
class Conversation {
 public:
  // Throws std::invalid_argument if the model has no chat template, and what Session throws.
  Conversation(std::shared_ptr<Model> model, ConversationOptions options);

  Conversation(const Conversation&) = delete;  // the session's interrupt check has its address
  Conversation& operator=(const Conversation&) = delete;

  // Asked during everything that takes long; true ends it.
  void SetInterruptCheck(std::function<bool()> is_interrupted);
  // Called now and then while messages are read, with how many of how many tokens are.
  void SetReadingListener(std::function<void(int64_t, int64_t)> on_reading);

  // The model's answer to the message; `on_text` gets it piece by piece. Both then belong to the conversation, also if
  // the answer was interrupted, unless that was before its first word. Throws ContextFull, and std::invalid_argument
  // for what is no UTF-8 or what the model's template refuses.
  GenerationResult Say(const std::string& message, const std::function<void(std::string_view)>& on_text);
  // Another answer to the last message, which takes the place of the last one. Throws std::invalid_argument if there is
  // none.
  GenerationResult SayAgain(const std::function<void(std::string_view)>& on_text);

  // From the next answer on.
  void SetGeneration(GenerateOptions options) { options_.generation = std::move(options); }
  const GenerateOptions& generation() const { return options_.generation; }

  void Reset();

  // Messages and all that the model has read of them, in one file: whole or not at all. Load refuses, as FileError,
  // what Session::Load refuses, and sessions that hold no chat. It leaves attention alone, and returns the settings
  // that were saved (SavedChat::attention).
  void Save(const std::string& path) const;
  std::optional<std::string> Load(const std::string& path);

  std::span<const ChatMessage> messages() const { return messages_; }
  int64_t n_tokens() const { return static_cast<int64_t>(session_.tokens().size()); }
  int64_t context_length() const { return session_.context_length(); }
  const GenerationStatistics& last_answer() const { return last_answer_; }
  // Of all answers; tokens that were in the cache already took no time and do not count.
  const Timings& timings() const { return timings_; }

 private:
  GenerationResult Answer(const std::vector<ChatMessage>& messages,
                          const std::function<void(std::string_view)>& on_text);
  // The messages of a new conversation.
  std::vector<ChatMessage> Opening() const;

  std::shared_ptr<Model> model_;
  ConversationOptions options_;
  Session session_;
  std::vector<ChatMessage> messages_;
  std::function<bool()> is_interrupted_;
  std::function<void(int64_t, int64_t)> on_reading_;
  int64_t n_prompt_ = 0;  // tokens, while they are read
  GenerationStatistics last_answer_;
  Timings timings_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_CONVERSATION_H_
