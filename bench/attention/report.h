// The results as Markdown, CSV and JSON.
#ifndef QWEN_INFER_BENCH_ATTENTION_REPORT_H_
#define QWEN_INFER_BENCH_ATTENTION_REPORT_H_

#include <map>
#include <span>
#include <string>

#include "attention/result.h"

namespace qwen_infer::attention_bench {

// What a reader must know to judge or repeat the figures.
struct Conditions {
  std::string processor;
  int threads = 0;
  std::string date;                             // "2026-01-31"
  std::map<std::string, std::string> versions;  // by name of the software
  std::map<std::string, std::string> flags;     // by name, as given or by default
  int64_t cold_bytes = 0;                       // what "auto" came to
  std::string simd;                             // instructions of our kernels: the same
  std::string command;                          // that measures the same
};

// What stands above the table and its first two lines; then one line a row. Each ends with a newline. There is a column
// for the ratio over any type if there are several, for visible keys if a mask hides some, and for recorded inputs if
// there are any.
std::string MarkdownHead(const Conditions& conditions);
std::string MarkdownLine(const Row& row);

std::string Csv(std::span<const Row> rows);

// {"cpu", "threads", "date", "versions", "flags", "cold_bytes", "simd", "command", "rows": [...]}; times in
// microseconds per query and head, null for what was not run, medians and all rounds.
std::string Json(const Conditions& conditions, std::span<const Row> rows);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_REPORT_H_
