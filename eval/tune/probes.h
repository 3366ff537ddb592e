// The settings with which layers are measured one at a time, and the curves that come of it.
#ifndef QWEN_INFER_EVAL_TUNE_PROBES_H_
#define QWEN_INFER_EVAL_TUNE_PROBES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "eval/options.h"
#include "eval/tune/curve.h"
#include "eval/window_scores.h"

namespace qwen_infer::tune {

// Budgets between which those of layers are found.
inline constexpr int64_t kLeastBudget = 16;
inline constexpr int64_t kMostBudget = 1024;

// Budgets that each layer is measured with, where every row sees at least `least_seen` keys, two or more of them. A
// factor of four apart the divergence of most layers falls to about an eighth, by a power law that interpolation
// follows; with fewer keys than the first every layer suffers, and with more than the last none gains. The last drops
// next to nothing, but something: what it costs is rounding.
std::vector<int64_t> ProbedBudgets(int64_t least_seen);
inline constexpr int64_t kLeastSeen = kLeastBudget + 2;

// Full attention by the same kernels, so that a layer that keeps all it needs differs in nothing.
Settings KeepAll();

// Each layer with each of the budgets while all others keep everything: those of layer 0 first. The mass of the one
// layer is measured in every row, that of the others not at all.
std::vector<eval::Setting> Probes(int64_t n_layer, std::span<const int64_t> budgets);

// Of the probes, which follow on full attention in each window's scores, over all tokens of all windows, without what
// rounding alone makes of any change. most_seen: keys that no row sees more of; that budget is full attention.
std::vector<Curve> CurvesOf(std::span<const eval::WindowScores> windows, int64_t n_layer,
                            std::span<const int64_t> budgets, int64_t most_seen);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_PROBES_H_
