#include "tool_input.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "engine/text_stream.h"
#include "flags.h"
#include "ggml.h"
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

topk::Status CheckPromptFile(const std::string& path) {
  std::string text;
  topk::Status status = path.empty() ? topk::Status() : ReadTextFile(path, text);
  if (status.ok() && !path.empty() && text.empty()) {
    status = topk::InvalidArgument("-f: " + path + " is empty: name a file with a text");
  }
  return status;
}

// A number, or several separated by commas as llama-bench takes them. What is no number is left to llama.cpp.
topk::Status CheckNumbers(std::string_view flag, std::string_view values, int64_t least, int64_t most) {
  while (!values.empty()) {
    const std::string_view value = values.substr(0, values.find(','));
    values.remove_prefix(std::min(value.size() + 1, values.size()));
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || (number >= least && number <= most)) continue;
    std::string range = "of at least " + std::to_string(least);
    if (least == std::numeric_limits<int64_t>::min()) range = "up to " + std::to_string(most);
    return topk::InvalidArgument(std::string(flag) + ": '" + std::string(value) + "' is not an integer " + range);
  }
  return {};
}

// Numbers that llama.cpp takes, and that end the process in the middle of its work.
topk::Status CheckSizes(std::span<const std::string> llama) {
  constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
  constexpr std::string_view kThreads[] = {"-t", "--threads"};
  constexpr std::string_view kBatchThreads[] = {"-tb", "--threads-batch"};
  constexpr std::string_view kContext[] = {"-c", "--ctx-size"};
  constexpr std::string_view kBatch[] = {"-b", "--batch-size"};
  constexpr std::string_view kMicroBatch[] = {"-ub", "--ubatch-size"};
  struct Size {
    std::span<const std::string_view> flags;
    int64_t least;
    int64_t most;
  };
  const Size sizes[] = {
      {kThreads, std::numeric_limits<int64_t>::min(), GGML_MAX_N_THREADS},  // below 1: as many as cores
      {kBatchThreads, std::numeric_limits<int64_t>::min(), GGML_MAX_N_THREADS},
      {kContext, 0, kAny},
      {kBatch, 1, kAny},
      {kMicroBatch, 1, kAny}};
  for (const Size& size : sizes) {
    const topk::Status status =
        CheckNumbers(size.flags.front(), LlamaFlagValue(llama, size.flags), size.least, size.most);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

topk::Status CheckPrompt(const std::string& text) {
  const size_t valid = ValidUtf8(text);
  if (valid == text.size()) return {};
  return topk::InvalidArgument("-p: the text is not UTF-8, its byte " + std::to_string(valid) +
                               " begins no character: put it into a file, convert that (iconv -t UTF-8), and use -f");
}

topk::Status CheckToolInput(std::span<const std::string> llama) {
  constexpr std::string_view kTemperature[] = {"--temp", "--temperature"};
  constexpr std::string_view kPrompt[] = {"-p", "--prompt"};
  constexpr std::string_view kFile[] = {"-f", "--file"};
  topk::Status status = CheckTemperature(LlamaFlagValue(llama, kTemperature));
  if (status.ok()) status = CheckSizes(llama);
  const std::string prompt = LlamaFlagValue(llama, kPrompt);
  if (status.ok() && prompt.empty() && HasLlamaFlag(llama, kPrompt) && !HasLlamaFlag(llama, kFile)) {
    status = topk::InvalidArgument("there is no prompt, -p is empty: give a text, -p TEXT or -f FILE");
  }
  if (status.ok()) status = CheckPrompt(prompt);
  if (status.ok()) status = CheckPromptFile(LlamaFlagValue(llama, kFile));
  return status;
}

}  // namespace qwen_infer
