// What clients send, checked before llama.cpp's handlers see it: they clamp some values without a word, answer to any
// name of a model, and recurse into whatever is nested.
#ifndef QWEN_INFER_APPS_SERVE_REQUESTS_H_
#define QWEN_INFER_APPS_SERVE_REQUESTS_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qwen_infer {

// Far above any context in text, and enough for some images in base64.
inline constexpr size_t kMaxBodyBytes = size_t{32} << 20;
// Far above what messages and the schemas of tools need, and far below what a thread's stack bears.
inline constexpr int kMaxBodyDepth = 128;

// Why a request is not answered: the HTTP status, OpenAI's name for that kind of error, and a sentence that names the
// bad value and the remedy.
struct Refusal {
  int status = 400;
  std::string type;
  std::string message;
};

// What is wrong with the body of a request as JSON, if anything is: too large (413), broken, not UTF-8, nested too
// deeply. An empty body is left to the handler. Holds the messages of a chat, and beside them the largest string.
std::optional<Refusal> CheckJson(std::string_view body);

// The same for a request to the model, and what llama.cpp would clamp, wrap around or pass over: a "model" other than
// `models`, which nobody asks about if that is empty, a number out of its range, a "stop" or "logit_bias" of another
// type, no prompt, bad messages (serve_messages.h). Other members are llama.cpp's to judge.
std::optional<Refusal> CheckModelRequest(std::string_view body, std::span<const std::string> models);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_REQUESTS_H_
