// What a reader must know of a run to judge or repeat it, whatever it has measured.
#ifndef QWEN_INFER_EVAL_RUN_FACTS_H_
#define QWEN_INFER_EVAL_RUN_FACTS_H_

#include <map>
#include <string>
#include <vector>

namespace qwen_infer::eval {

// A setting, or full attention.
struct WayName {
  std::string name;      // as the user wrote it: "k=128,sinks=4"; "full attention"
  std::string settings;  // all of them; empty for full attention
};

struct RunFacts {
  std::string model;              // the file's name
  std::string model_description;  // "qwen2 0.5B Q4_K - Medium"
  std::string processor;
  int threads = 0;
  std::string date;                             // "2026-01-31"
  std::map<std::string, std::string> versions;  // by name of the software
  std::string command;                          // that measures the same
  std::string cache_type;
  std::vector<WayName> ways;
};

// In a few words each: what stands above the tables.
std::vector<std::string> FactsOf(const RunFacts& run);

// All settings of the ways, a line each.
std::vector<std::string> SettingsOf(const RunFacts& run);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_RUN_FACTS_H_
