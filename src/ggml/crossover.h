// From how many visible keys on a row is faster with top-k: measured once per machine by `qwen-infer calibrate`, kept
// as a small JSON file in the user's cache folder, and used where the crossover is "auto" (settings.h).
//
//   {"processor": "...", "threads": 2, "version": "0.1.0",
//    "crossovers": [{"head_size": 64, "queries": 1, "keys": 768}, ...]}
#ifndef QWEN_INFER_SRC_GGML_CROSSOVER_H_
#define QWEN_INFER_SRC_GGML_CROSSOVER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "topk/status.h"

namespace qwen_infer {

// The budget that crossovers are measured with.
inline constexpr int64_t kCalibratedBudget = 256;

// What a measurement depends on.
struct Machine {
  std::string processor;  // its name, "unknown" where the system tells none
  int threads = 0;        // that it runs at once
  std::string version;    // of Qwen-Infer: its kernels get faster

  bool operator==(const Machine&) const = default;
};
Machine ThisMachine();

struct Crossover {
  int64_t head_size = 0;
  int64_t n_query = 0;  // of a call: 1 is decode
  int64_t n_key = 0;    // rows with fewer visible keys are faster dense
};

struct CrossoverTable {
  Machine machine;
  std::vector<Crossover> entries;  // may be empty

  // The entry whose head size and, among those, number of queries is the nearest in proportion; `fallback` if there is
  // none.
  int64_t Find(int64_t head_size, int64_t n_query, int64_t fallback) const;
};

// The crossover for another budget than the measured one. Top-k saves work on the n - k keys that it drops and pays for
// choosing, which takes time in proportion to n, so the balance moves up with k; not down, for the part of choosing
// that every row pays stays.
int64_t CrossoverForBudget(int64_t crossover, int64_t k);

// $QWEN_INFER_CACHE/crossover.json, or in $XDG_CACHE_HOME/qwen-infer or ~/.cache/qwen-infer; empty if the environment
// names no folder.
std::string CrossoverPath();

std::string FormatCrossovers(const CrossoverTable& table);

// Reads what FormatCrossovers wrote; kInvalidArgument, with the reason, for anything else.
topk::Status ParseCrossovers(std::string_view text, CrossoverTable& out);

// The file's table. An empty one, with an explanation in `warning`, if it is unreadable, damaged or of another machine;
// without if there is no file.
CrossoverTable LoadCrossovers(const std::string& path, const Machine& machine, std::string& warning);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_CROSSOVER_H_
