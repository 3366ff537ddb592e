#include "eval/tasks/fit.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/model_file.h"

namespace qwen_infer::tasks {

namespace {

std::string ChatText(const Model& model, const Example& example) {
  std::vector<ChatMessage> messages;
  for (const Turn& shot : example.shots) {
    messages.push_back({.role = "user", .content = shot.question});
    messages.push_back({.role = "assistant", .content = shot.answer});
  }
  messages.push_back({.role = "user", .content = example.question});
  return model.ApplyChatTemplate(messages, {.enable_thinking = false}).text + example.answer_start;
}

std::string PlainText(const Example& example) {
  std::string text;
  for (const Turn& shot : example.shots) text.append(shot.question).append(shot.answer).append("\n");
  return text.append(example.question).append(example.answer_start);
}

// Source code that runs out before this share of the length is reached does not suffice.
constexpr int64_t kLeastPercent = 75;

}  // namespace

Encoder EncoderOf(const Model& model) {
  return [&model](const Example& example) {
    return model.Tokenize(model.has_chat_template() ? ChatText(model, example) : PlainText(example));
  };
}

topk::Status Fit(const Task& task, const Material& material, int64_t length, uint64_t seed, const Encoder& encode,
                 Prompt& out) {
  const auto tokens_of = [&task](const Prompt& prompt) {
    return static_cast<int64_t>(prompt.tokens.size()) + task.answer_tokens;
  };
  const auto make = [&](int64_t size) {
    eval::Random random(seed);
    Prompt prompt = {.example = task.make(material, {.length = length, .size = size}, random), .tokens = {}};
    prompt.tokens = encode(prompt.example);
    return prompt;
  };
  int64_t fits = 1;
  out = make(fits);
  if (tokens_of(out) > length) {
    return topk::InvalidArgument("--length " + std::to_string(length) + " is too short for " + std::string(task.name) +
                                 ": this example of it takes " + std::to_string(tokens_of(out)) +
                                 " tokens at least, answer included");
  }
  // A piece has a token at least: there is no need to look beyond `length`. Twice as many until they are too many, then
  // halfway between.
  for (int64_t exceeds = length + 1; fits + 1 < exceeds;) {
    const int64_t size = std::min(2 * fits, (fits + exceeds) / 2);
    Prompt prompt = make(size);
    if (tokens_of(prompt) > length) {
      exceeds = size;
    } else {
      fits = size;
      out = std::move(prompt);
    }
  }
  if (!task.needs_functions || tokens_of(out) * 100 >= length * kLeastPercent) return {};
  return topk::InvalidArgument("the code of --source is too little for --length " + std::to_string(length) +
                               ": all functions that an example can have make " + std::to_string(tokens_of(out)) +
                               " tokens");
}

uint64_t SeedOf(uint64_t seed, std::string_view task, int64_t index) {
  Hash hash;
  hash.Add(&seed, sizeof(seed));
  hash.Add(&index, sizeof(index));
  hash.Add(task.data(), task.size());
  return hash.value();
}

}  // namespace qwen_infer::tasks
