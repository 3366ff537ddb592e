// The flags of qwen-infer bench-attention. One table gives parser, defaults, --help and what the JSON records.
#ifndef QWEN_INFER_BENCH_ATTENTION_OPTIONS_H_
#define QWEN_INFER_BENCH_ATTENTION_OPTIONS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/case.h"
#include "topk/status.h"

namespace qwen_infer::attention_bench {

struct Options {
  std::vector<HeadShape> shapes;
  std::vector<int64_t> keys;
  std::vector<int64_t> queries;
  std::vector<int64_t> visible;  // empty: all keys up to a query's own
  std::vector<ggml_type> types;
  std::vector<std::string> inputs;  // files; if there are any, shapes, keys and types are empty
  int64_t k = 0;
  int threads = 0;
  double seconds = 0;  // a measurement takes at least this long
  int repeat = 0;      // measurements of each method, in turns
  int64_t cold_bytes = 0;
  std::string simd;                 // of our kernels: one of topk::SimdTargets(), or "auto"
  std::string json, csv, markdown;  // files; empty: none

  std::map<std::string, std::string> text;  // the value of every flag but the files, as it was written, by name
};

// Reads flags (names with underscores or dashes; the value after a space or "="; the last one counts) over the
// defaults. Refuses unknown flags and values that are not allowed, naming what is; `options` is then undefined.
topk::Status ParseOptions(std::span<const std::string_view> arguments, Options& options);

// The lines of --help, one flag each with what it allows and its default.
std::string FlagHelp();

// The command that measures the same: every flag that is not at its default, without the files.
std::string CommandOf(const Options& options);

// Every combination, but those with more queries than keys; grouped as the table is.
std::vector<Case> CasesOf(const Options& options);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_OPTIONS_H_
