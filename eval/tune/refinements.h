// What may help besides the budgets: full attention in a few layers, sinks, another temperature.
//
// None may cost keys: sinks, and what layers with full attention keep, are keys that the other layers do without. All
// combinations are read on the calibration windows, and a kind of refinement stays only if it measurably brings the
// predictions nearer to those of full attention.
#ifndef QWEN_INFER_EVAL_TUNE_REFINEMENTS_H_
#define QWEN_INFER_EVAL_TUNE_REFINEMENTS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/bootstrap.h"
#include "eval/tune/allocation.h"
#include "eval/tune/candidates.h"
#include "eval/tune/curve.h"

namespace qwen_infer::tune {

struct Refinement {
  int64_t dense_layers = 0;  // so many have full attention: those that lose the most with their budgets
  int64_t sinks = 0;
  double temperature = 1;

  bool operator==(const Refinement&) const = default;
};

struct RefinedWay {
  Refinement refinement;
  std::string settings;
};

// What is refined: budgets of layers, or a mass target.
struct Base {
  std::string settings;
  std::span<const Curve> curves;        // by layer
  Budgets budgets;                      // that the layers have, or had before the mass target
  std::span<const Tried> mass_targets;  // to go on with where there are fewer keys; empty with budgets
  double keys_seen = 0;                 // by a row, on average
};

// The base first, then all combinations that leave the other layers enough keys.
std::vector<RefinedWay> RefinedWays(const Base& base);

// The place of the best of `ways`. `tried` has what each came to, `allowed` is how many keys a row may keep, and
// difference(a, b) the divergence of way a less that of way b, with its interval. Starting with the first way, one kind
// of refinement after the other is changed to what has the least divergence, if the interval leaves no doubt.
size_t BestRefined(std::span<const RefinedWay> ways, std::span<const Tried> tried, double allowed,
                   const std::function<eval::Estimate(size_t, size_t)>& difference);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_REFINEMENTS_H_
