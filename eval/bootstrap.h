// Confidence intervals of means over tokens, by the bootstrap (Efron, 1979).
//
// Neighbouring tokens are alike, so not tokens but blocks of consecutive ones are drawn, with replacement, as many as
// there are (Carlstein, 1986); the interval is that of the middle 95 % of the means. Paired differences go in as such:
// two settings on the same tokens have most of their spread in common, which the difference is free of.
#ifndef QWEN_INFER_EVAL_BOOTSTRAP_H_
#define QWEN_INFER_EVAL_BOOTSTRAP_H_

#include <cstdint>
#include <span>

namespace qwen_infer::eval {

struct Block {
  double sum = 0;  // over its tokens
  int64_t tokens = 0;
};

inline constexpr int kResamples = 10'000;

struct Estimate {
  double mean = 0;
  double low = 0;  // of the 95 % interval; NaN if there is none
  double high = 0;

  bool HasInterval() const { return low <= high; }
};

// sum of sums / sum of tokens. The same blocks and seed give the same interval on every machine. NaN without blocks;
// the ends of the interval are NaN if there are fewer than two.
Estimate BootstrapMean(std::span<const Block> blocks, uint64_t seed);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_BOOTSTRAP_H_
