// Which layer gets how many keys.
//
// The divergences of single layers add up to about that of all together: each changes the predictions by a little, and
// in directions that have nothing to do with one another. So the best budgets of a given sum are those from which a key
// more would help every layer as much (Lagrange): found by giving keys, a step at a time, to the layer that gains the
// most for each of them (Shoham and Gersho, 1988), along the lower convex hull of its curve.
#ifndef QWEN_INFER_EVAL_TUNE_ALLOCATION_H_
#define QWEN_INFER_EVAL_TUNE_ALLOCATION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "eval/tune/curve.h"
#include "topk/status.h"

namespace qwen_infer::tune {

using Budgets = std::vector<int64_t>;  // by layer

double MeanOf(const Budgets& budgets);

// The same for all layers that keeps as many keys, at least 1.
int64_t FixedBudget(const Budgets& budgets);

// Their sum over all layers.
double ExpectedKl(std::span<const Curve> curves, const Budgets& budgets);

// The least expected divergence with at most `mean` keys a layer. kInvalidArgument if the curves allow nothing so
// small. All curves have the same measured budgets, between the least and the greatest of which the result lies.
topk::Status AllocateBudget(std::span<const Curve> curves, double mean, Budgets& out);

// The fewest keys with an expected divergence of at most `kl`, and those with which every layer has a mean mass of at
// least `mass`. kInvalidArgument, naming what would be possible, if the most keys do not suffice.
topk::Status AllocateKl(std::span<const Curve> curves, double kl, Budgets& out);
topk::Status AllocateMass(std::span<const Curve> curves, double mass, Budgets& out);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_ALLOCATION_H_
