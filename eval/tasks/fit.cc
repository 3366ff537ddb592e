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

// The prompts of one example.
class Sizes {
 public:
  Sizes(const Task& task, const Material& material, int64_t length, uint64_t seed, const Encoder& encode)
      : task_(task), material_(material), length_(length), seed_(seed), encode_(encode) {}

  // Of so many pieces.
  Prompt Make(int64_t size) const {
    eval::Random random(seed_);
    Prompt prompt = {.example = task_.make(material_, {.length = length_, .size = size}, random), .tokens = {}};
    prompt.tokens = encode_(prompt.example);
    return prompt;
  }

  // With the longest answer.
  int64_t TokensOf(const Prompt& prompt) const {
    return static_cast<int64_t>(prompt.tokens.size()) + task_.answer_tokens;
  }

  topk::Status MakeShortest(Prompt& out) const {
    out = Make(1);
    if (TokensOf(out) <= length_) return {};
    return topk::InvalidArgument("--length " + std::to_string(length_) + " is too short for " +
                                 std::string(task_.name) + ": this example of it takes " +
                                 std::to_string(TokensOf(out)) + " tokens at least, answer included");
  }

 private:
  const Task& task_;
  const Material& material_;
  int64_t length_;
  uint64_t seed_;
  const Encoder& encode_;
};

}  // namespace

Encoder EncoderOf(const Model& model) {
  return [&model](const Example& example) {
    return model.Tokenize(model.has_chat_template() ? ChatText(model, example) : PlainText(example));
  };
}

topk::Status Fit(const Task& task, const Material& material, int64_t length, uint64_t seed, const Encoder& encode,
                 Prompt& out) {
  const Sizes sizes(task, material, length, seed, encode);
  if (topk::Status status = sizes.MakeShortest(out); !status.ok()) return status;
  // A piece has a token at least: there is no need to look beyond `length`. Twice as many until they are too many, then
  // halfway between.
  int64_t fits = 1;
  for (int64_t exceeds = length + 1; fits + 1 < exceeds;) {
    const int64_t size = std::min(2 * fits, (fits + exceeds) / 2);
    Prompt prompt = sizes.Make(size);
    if (sizes.TokensOf(prompt) > length) {
      exceeds = size;
    } else {
      fits = size;
      out = std::move(prompt);
    }
  }
  if (!task.needs_functions || sizes.TokensOf(out) * 100 >= length * kLeastPercent) return {};
  return topk::InvalidArgument("the code of --source is too little for --length " + std::to_string(length) +
                               ": all functions that an example can have make " + std::to_string(sizes.TokensOf(out)) +
                               " tokens");
}

topk::Status CheckFit(const Task& task, const Material& material, int64_t length, uint64_t seed,
                      const Encoder& encode) {
  Prompt prompt;
  if (task.needs_functions) return Fit(task, material, length, seed, encode, prompt);
  return Sizes(task, material, length, seed, encode).MakeShortest(prompt);
}

uint64_t SeedOf(uint64_t seed, std::string_view task, int64_t index) {
  Hash hash;
  hash.Add(&seed, sizeof(seed));
  hash.Add(&index, sizeof(index));
  hash.Add(task.data(), task.size());
  return hash.value();
}

}  // namespace qwen_infer::tasks
