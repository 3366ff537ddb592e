// No time counts of a method that computes something else.
#ifndef QWEN_INFER_BENCH_ATTENTION_VERIFY_H_
#define QWEN_INFER_BENCH_ATTENTION_VERIFY_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "attention/contest.h"
#include "topk/attention.h"

namespace qwen_infer::attention_bench {

// A few queries of a case, spread evenly from the first one on. The first token's view and a longer stride make them an
// AttentionInput of their own, mask included.
struct Sample {
  explicit Sample(const topk::AttentionInput& whole);

  int64_t QueryOf(int64_t index) const { return index * step; }

  int64_t step = 1;
  topk::AttentionInput input;
};

// The largest |q| of the sample times the largest |k|, 2-norms, times the scale: a bound on all scores, and what their
// rounding is relative to.
double ScoreBound(const Sample& sample);

// Compares a whole run's rows with the reference's of a sample. The largest difference of two numbers, as a share of
// the root mean square of the reference; infinity if one is NaN.
double WorstDifference(const Sample& sample, const std::vector<float>& reference, const float* output);

// Empty if the runs selected the same keys for the sample's rows; else a sentence with the first that differ.
std::string DifferentSelection(const Sample& sample, const topk::Selection& reference, const topk::Selection& whole);

// The plain reference's results of a sample of a case's rows.
class Verifier {
 public:
  explicit Verifier(const Contest& contest);

  // Runs it once, into an output without numbers. Throws std::runtime_error, naming method and worst difference, if it
  // computes anything else. Returns a remark, or "": llama.cpp's sums in f16 may stray farther than is expected of them
  // where V has a bias, and what it computes is its own affair as long as it is numbers.
  std::string Check(const Contestant& contestant, const topk::Executor& executor);

 private:
  struct Expected {
    topk::TopKOptions options;
    std::vector<float> output;
    topk::Selection selection;
  };
  // What rows are to be with these options; computed once for all that keep the same keys.
  const Expected& ExpectedOf(const topk::TopKOptions& options);

  const Contest& contest_;
  Sample sample_;
  double score_bound_;
  std::deque<Expected> expected_;
};

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_VERIFY_H_
