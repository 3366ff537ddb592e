// The flags of qwen-infer chat, named as llama-cli's. Those of top-k attention are taken out before (flags.h).
#ifndef QWEN_INFER_APPS_CHAT_FLAGS_H_
#define QWEN_INFER_APPS_CHAT_FLAGS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer {

struct ChatFlags {
  std::string model;  // GGUF file
  bool flash_attention = true;
  // -1: nothing is said; 0: as many as the model was trained with.
  int64_t context_length = -1;
  int threads = 0;
  std::string cache_type_k, cache_type_v;
  GenerateOptions generation;
  std::optional<bool> reasoning;

  std::string system_prompt, system_prompt_file;
  std::string prompt, file;  // the first message: the file's text, then the prompt
  bool single_turn = false;
  bool simple_io = false;
  bool verbose = false;
};

// Reads the flags over the defaults. Refuses unknown flags, values that are not allowed and a missing model, naming
// what is allowed; `flags` is then undefined. environment: the value of LLAMA_ARG_MODEL or null.
topk::Status ParseChatFlags(std::span<const std::string_view> arguments, const char* environment, ChatFlags& flags);

// Reads "temp 0.5": a flag that is about answers, which may change during a chat. Refuses others, and values that are
// not allowed, naming what is; `options` is then unchanged.
topk::Status ChangeGeneration(std::string_view name_and_value, GenerateOptions& options);

// "temp 0.8" and so on, a line for each of these flags.
std::string ShowGeneration(const GenerateOptions& options);

// The lines of --help, one flag each with what it allows and its default.
std::string ChatFlagHelp();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_CHAT_FLAGS_H_
