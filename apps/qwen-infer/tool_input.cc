#include "tool_input.h"

#include <cmath>
#include <cstdlib>
#include <string_view>

#include "engine/text_stream.h"
#include "flags.h"
#include "text_file.h"

namespace qwen_infer {

namespace {

// llama.cpp raises negative temperatures to 0 and samples noise at NaN.
topk::Status CheckTemperature(const std::string& value) {
  if (value.empty()) return {};
  char* end = nullptr;
  const float number = std::strtof(value.c_str(), &end);
  if (*end == '\0' && std::isfinite(number) && number >= 0) return {};
  return topk::InvalidArgument("--temp: '" + value + "' is not a number from 0 (always the likeliest token) on");
}

topk::Status CheckPrompt(const std::string& text) {
  const size_t valid = ValidUtf8(text);
  if (valid == text.size()) return {};
  return topk::InvalidArgument("-p: the text is not UTF-8, its byte " + std::to_string(valid) +
                               " begins no character: put it into a file, convert that (iconv -t UTF-8), and use -f");
}

topk::Status CheckPromptFile(const std::string& path) {
  std::string text;
  topk::Status status = path.empty() ? topk::Status() : ReadTextFile(path, text);
  if (status.ok() && !path.empty() && text.empty()) {
    status = topk::InvalidArgument("-f: " + path + " is empty: name a file with a text");
  }
  return status;
}

}  // namespace

topk::Status CheckToolInput(std::span<const std::string> llama) {
  constexpr std::string_view kTemperature[] = {"--temp", "--temperature"};
  constexpr std::string_view kPrompt[] = {"-p", "--prompt"};
  constexpr std::string_view kFile[] = {"-f", "--file"};
  topk::Status status = CheckTemperature(LlamaFlagValue(llama, kTemperature));
  if (status.ok()) status = CheckPrompt(LlamaFlagValue(llama, kPrompt));
  if (status.ok()) status = CheckPromptFile(LlamaFlagValue(llama, kFile));
  return status;
}

}  // namespace qwen_infer
