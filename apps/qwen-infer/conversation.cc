#include "conversation.h"

#include <algorithm>
#include <string>
#include <utility>

#include "saved_chat.h"

namespace qwen_infer {

namespace {

constexpr std::string_view kUser = "user";

}  // namespace

Conversation::Conversation(std::shared_ptr<Model> model, ConversationOptions options)
    : model_(std::move(model)), options_(std::move(options)), session_(model_, options_.session) {
  if (!model_->has_chat_template()) {
    throw std::invalid_argument("the model " + model_->path() +
                                " has no chat template: qwen-infer complete has it continue a text");
  }
  messages_ = Opening();
  session_.SetInterruptCheck([this] {
    if (n_prompt_ > 0 && on_reading_ != nullptr) on_reading_(std::min(n_tokens(), n_prompt_), n_prompt_);
    return is_interrupted_ != nullptr && is_interrupted_();
  });
}

std::vector<ChatMessage> Conversation::Opening() const {
  if (options_.system_prompt.empty()) return {};
  return {{.role = "system", .content = options_.system_prompt}};
}

void Conversation::SetInterruptCheck(std::function<bool()> is_interrupted) {
  is_interrupted_ = std::move(is_interrupted);
}

void Conversation::SetReadingListener(std::function<void(int64_t, int64_t)> on_reading) {
  on_reading_ = std::move(on_reading);
}

GenerationResult Conversation::Say(const std::string& message, const std::function<void(std::string_view)>& on_text) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({.role = std::string(kUser), .content = message});
  return Answer(messages, on_text);
}

GenerationResult Conversation::SayAgain(const std::function<void(std::string_view)>& on_text) {
  const auto last =
      std::find_if(messages_.rbegin(), messages_.rend(), [](const ChatMessage& one) { return one.role == kUser; });
  if (last == messages_.rend()) throw std::invalid_argument("there is no message yet that could be answered again");
  return Answer({messages_.begin(), last.base()}, on_text);
}

GenerationResult Conversation::Answer(const std::vector<ChatMessage>& messages,
                                      const std::function<void(std::string_view)>& on_text) {
  ChatPrompt prompt = model_->ApplyChatTemplate(messages, {.enable_thinking = options_.enable_thinking});
  const auto n_prompt = static_cast<int64_t>(model_->Tokenize(prompt.text).size());
  if (n_prompt >= context_length()) {
    throw ContextFull("the messages have " + std::to_string(n_prompt) + " tokens, and the context of " +
                      std::to_string(context_length()) + " has no room for an answer");
  }
  GenerateOptions options = options_.generation;
  options.stop.insert(options.stop.end(), prompt.stop.begin(), prompt.stop.end());

  n_prompt_ = n_prompt;
  GenerationResult result = session_.Generate(prompt.text, options, [&](std::string_view text) {
    n_prompt_ = 0;
    on_text(text);
    return true;
  });

  last_answer_ = result.statistics;
  timings_.prompt_tokens += last_answer_.prompt_tokens - last_answer_.cached_tokens;
  timings_.prompt_seconds += last_answer_.prompt_seconds;
  timings_.generated_tokens += last_answer_.generated_tokens;
  timings_.generation_seconds += last_answer_.generation_seconds;
  if (!result.text.empty() || result.finish_reason != FinishReason::kCancelled) {
    messages_ = messages;
    messages_.push_back({.role = "assistant", .content = result.text});
  }
  return result;
}

void Conversation::Reset() {
  messages_ = Opening();
  session_.Clear();
}

void Conversation::Save(const std::string& path) const {
  session_.Save(path, FormatChat({.messages = messages_,
                                  .attention = model_->has_top_k_attention() ? model_->attention() : std::string()}));
}

std::optional<std::string> Conversation::Load(const std::string& path) {
  // A session of someone else's does no harm: the next answer reads anew what it needs.
  const std::string note = session_.Load(path);
  SavedChat chat;
  const topk::Status status = ParseChat(note, chat);
  if (!status.ok()) throw FileError("cannot load the chat " + path + ": " + status.message());
  messages_ = std::move(chat.messages);
  return chat.attention;
}

}  // namespace qwen_infer
