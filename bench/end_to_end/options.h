// The flags of qwen-infer bench --compare. Names and short forms are llama-bench's where it has them.
#ifndef QWEN_INFER_BENCH_END_TO_END_OPTIONS_H_
#define QWEN_INFER_BENCH_END_TO_END_OPTIONS_H_

#include <ggml.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topk/status.h"

namespace qwen_infer::end_to_end_bench {

struct Options {
  std::string model;            // GGUF file
  std::vector<int64_t> depths;  // ascending, each once
  int64_t n_prompt = 0;
  int64_t n_gen = 0;
  int repetitions = 0;  // rounds that count
  int threads = 0;
  ggml_type type_k = GGML_TYPE_F16;
  ggml_type type_v = GGML_TYPE_F16;
  std::string text_file;       // what the model reads; empty: random tokens
  std::string json, markdown;  // files to write; empty: none

  std::map<std::string, std::string> text;  // the value of every flag but the files, as it was written, by name

  // Tokens of context that the deepest test ends with.
  int64_t ContextSize() const;
};

// Reads flags (names with underscores or dashes; the value after a space or "="; the last one counts) over the
// defaults. Refuses unknown flags and values that are not allowed, naming what is; `options` is then undefined.
topk::Status ParseOptions(std::span<const std::string_view> arguments, Options& options);

// The lines of --help, one flag each with what it allows and its default.
std::string FlagHelp();

// The flags of a command that measures the same: all that are not at their default, without the files.
std::string CommandOf(const Options& options);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_OPTIONS_H_
