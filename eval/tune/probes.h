// The settings with which layers are measured one at a time, and the curves that come of it.
#ifndef QWEN_INFER_EVAL_TUNE_PROBES_H_
#define QWEN_INFER_EVAL_TUNE_PROBES_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "eval/options.h"
#include "eval/tune/curve.h"
#include "eval/window_scores.h"

namespace qwen_infer::tune {

// Budgets that each layer is measured with. A factor of four apart the divergence of most layers falls to about an
// eighth, by a power law that interpolation follows; with fewer keys than the first every layer suffers, and with more
// than the last none gains.
inline constexpr std::array<int64_t, 4> kProbedBudgets = {16, 64, 256, 1024};

// Full attention by the same kernels, so that a layer that keeps all it needs differs in nothing.
Settings KeepAll();

// Each layer with each budget while all others keep everything: those of layer 0 first. The mass of the one layer is
// measured in every row, that of the others not at all.
std::vector<eval::Setting> Probes(int64_t n_layer);

// Of the probes, which follow on full attention in each window's scores, over all tokens of all windows, without what
// rounding alone makes of any change.
std::vector<Curve> CurvesOf(std::span<const eval::WindowScores> windows, int64_t n_layer);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_PROBES_H_
