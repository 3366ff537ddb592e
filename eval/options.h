// The flags of qwen-infer eval.
#ifndef QWEN_INFER_EVAL_OPTIONS_H_
#define QWEN_INFER_EVAL_OPTIONS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compared_settings.h"
#include "positions.h"
#include "topk/status.h"

namespace qwen_infer::eval {

// What all that measure quality with a model have.
struct RunOptions {
  std::string model;                   // GGUF file
  std::vector<std::string> paths;      // of texts
  std::vector<std::string> suffixes;   // of files in folders; none: all
  std::vector<Setting> settings = {};  // at least one, each once
  int threads = 0;
  std::string cache_type;
  uint64_t seed = 0;
  std::string output;  // folder
  bool restart = false;
  bool verbose = false;

  std::map<std::string, std::string> text;  // the value of every flag, as it was written, by name
};

struct Options : RunOptions {
  int64_t windows = 0;
  int64_t window = 0;  // tokens
  int64_t skip = -1;   // tokens of a window that are read and not scored; -1: half of them

  // The positions that count.
  Positions Scored() const;
};

// Reads flags (names with underscores or dashes; the value after a space or "="; the last one counts, but --file and
// --setting add up) over the defaults. Refuses unknown flags and values that are not allowed, naming what is; `options`
// is then undefined. environment: the value of LLAMA_ARG_MODEL or null.
topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options);

// The lines of --help, one flag each with what it allows and its default.
std::string FlagHelp();

// The flags of a command that measures the same: all that are not at their default, without the model's folder.
std::string CommandOf(const Options& options);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_OPTIONS_H_
