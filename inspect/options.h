// The flags of qwen-infer inspect.
#ifndef QWEN_INFER_INSPECT_OPTIONS_H_
#define QWEN_INFER_INSPECT_OPTIONS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/compared_settings.h"
#include "topk/status.h"

namespace qwen_infer::inspect {

struct LayerRange {
  int first = 0;
  int last = 0;
};

struct Options {
  std::string model;  // GGUF file
  std::string prompt_file;
  std::vector<eval::Setting> settings;  // one, or two to compare
  std::vector<LayerRange> layers;       // empty: all, or as many as fit
  int strongest = 0;                    // weights of a row; 0: as many as fit
  int64_t max_megabytes = 0;            // of the page
  int threads = 0;
  std::string cache_type;
  std::string html;  // files to write; at least one of them
  std::string json;
  bool verbose = false;
};

// Reads flags (names with underscores or dashes; the value after a space or "="; the last one counts, but --setting
// adds up) over the defaults. Refuses unknown flags and values that are not allowed, naming what is; `options` is then
// undefined. environment: the value of LLAMA_ARG_MODEL or null.
topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options);

// The lines of --help, one flag each with what it allows and its default.
std::string FlagHelp();

}  // namespace qwen_infer::inspect

#endif  // QWEN_INFER_INSPECT_OPTIONS_H_
