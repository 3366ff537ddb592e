// The results as Markdown and JSON.
#ifndef QWEN_INFER_BENCH_END_TO_END_REPORT_H_
#define QWEN_INFER_BENCH_END_TO_END_REPORT_H_

#include <map>
#include <span>
#include <string>

#include "end_to_end/options.h"
#include "end_to_end/result.h"

namespace qwen_infer::end_to_end_bench {

// What a reader must know to judge or repeat the figures.
struct Conditions {
  std::string processor;
  std::string date;                             // "2026-01-31"
  std::map<std::string, std::string> versions;  // by name of the software
  std::string settings;                         // of top-k attention, in the form of settings.h
  std::string command;                          // that measures the same
};

// What stands above the table and its first two lines; then one line a row. Each ends with a newline.
std::string MarkdownHead(const Conditions& conditions, const Options& options);
std::string MarkdownLine(const Row& row);

// {"cpu", "threads", "date", "versions", "command", "model", "settings", "measurements": [...], "ratios": [...]}.
// A measurement, in the form that bench/peers writes too: {"method": NameOf(way), "cache_k", "cache_v", "test": "pp" or
// "tg", "tokens", "depth", "tokens_per_second": {"median", "rounds"}}. A ratio: {"test", "tokens", "depth", "stock":
// NameOf(the better way), "median", "min", "max"}.
std::string Json(const Conditions& conditions, const Options& options, std::span<const Row> rows);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_REPORT_H_
