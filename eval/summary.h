// The figures of a run, from the scores of its windows.
#ifndef QWEN_INFER_EVAL_SUMMARY_H_
#define QWEN_INFER_EVAL_SUMMARY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "bootstrap.h"
#include "positions.h"
#include "topk/attention.h"
#include "window_scores.h"

namespace qwen_infer::eval {

// Consecutive tokens of one window that are drawn together.
inline constexpr int64_t kBlockTokens = 64;

// Of one way, over the same positions of all windows.
struct Quality {
  Positions positions = {};
  int64_t tokens = 0;  // that were predicted
  double perplexity = 0;
  Estimate change = {};     // of the perplexity against full attention, in percent; paired
  Estimate kl = {};         // mean KL divergence from full attention, nats
  double kl_p99 = 0;        // 99 of 100 tokens diverge no more
  Estimate agreement = {};  // share of tokens for which both find the same one the most likely
};

struct WaySummary {
  Quality scored = {};                    // the positions that count
  std::vector<Quality> by_position = {};  // all of them, in PositionBuckets
  double seconds = 0;                     // to read all windows
  topk::Statistics attention = {};        // over all positions; empty for full attention
};

// Of two settings, paired.
struct Difference {
  size_t way = 0;
  size_t against = 0;
  Estimate change = {};  // of the perplexity, in percent
  Estimate kl = {};      // of the mean divergence from full attention, nats
};

struct Summary {
  int64_t windows = 0;
  int64_t tokens_read = 0;                   // by each way
  std::vector<WaySummary> ways = {};         // as in WindowScores
  std::vector<Difference> differences = {};  // each pair of settings, the later against the earlier
};

// Of the mean divergences of two ways from full attention, the first less the second; paired, over the positions.
Estimate KlDifference(std::span<const WindowScores> windows, size_t way, size_t against, const Positions& positions,
                      uint64_t seed);

// Windows of equal length, at least one. `scored`: the positions that count.
Summary Summarize(std::span<const WindowScores> windows, const Positions& scored, uint64_t seed);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_SUMMARY_H_
