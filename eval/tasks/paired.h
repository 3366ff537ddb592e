// What can be said of two ways that answered the same questions.
#ifndef QWEN_INFER_EVAL_TASKS_PAIRED_H_
#define QWEN_INFER_EVAL_TASKS_PAIRED_H_

#include <cstdint>
#include <span>

#include "eval/bootstrap.h"

namespace qwen_infer::tasks {

// The exact test of McNemar (1947): how likely it is that so many or more of the pairs that differ do so in one
// direction, if both are as likely: two-sided binomial, 1 if there are none.
double McNemarExact(int64_t only_first, int64_t only_second);

// The mean of paired differences from -1 to 1 with its 95 % interval.
//
// The interval is that of Bonett and Price (2012) for paired shares: normal, but with one pair added that differs in
// one direction by `step`, and one in the other. So it has a width if all pairs that were seen are alike, where a
// bootstrap would claim certainty. step: the least by which two scores can differ, 1 for right or wrong, which is their
// case. NaN without differences.
eval::Estimate MeanDifference(std::span<const double> differences, double step);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_PAIRED_H_
