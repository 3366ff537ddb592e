// Ways to spend a budget that are tried against one another on the calibration windows.
//
// Layers differ in how many keys they need, and so do the rows of one layer: a mass target lets each row have what it
// needs. What a target costs on average is not known before it is measured, so a ladder of them is tried.
#ifndef QWEN_INFER_EVAL_TUNE_CANDIDATES_H_
#define QWEN_INFER_EVAL_TUNE_CANDIDATES_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/options.h"
#include "eval/window_scores.h"

namespace qwen_infer::tune {

// As those of eval: no row is left to full attention because that is faster on this machine.
eval::Setting SettingFor(const std::string& name, const std::string& text);

// The fixed budget first, then `layers` (settings with a budget for each layer), then mass targets if wanted.
std::vector<eval::Setting> Candidates(int64_t fixed_k, std::span<const std::string> layers, bool mass_targets);

struct Tried {
  std::string settings;
  double kl = 0;            // from full attention, nats a token
  double keys_per_row = 0;  // kept
};

// Of the candidates, which follow on full attention in each window's scores.
std::vector<Tried> TriedOf(std::span<const eval::Setting> candidates, std::span<const eval::WindowScores> windows);

// The one but the first that diverges least from full attention, of those that keep no more keys than the first; the
// second if there is none.
const Tried& Best(std::span<const Tried> tried);

// The one that keeps the fewest keys, of those that diverge from full attention by no more than `kl`; null if there is
// none.
const Tried* Fewest(std::span<const Tried> tried, double kl);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_CANDIDATES_H_
