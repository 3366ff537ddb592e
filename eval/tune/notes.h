// What a profile says about how it came about.
#ifndef QWEN_INFER_EVAL_TUNE_NOTES_H_
#define QWEN_INFER_EVAL_TUNE_NOTES_H_

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "eval/report.h"
#include "eval/tune/allocation.h"
#include "eval/tune/choice.h"
#include "eval/tune/curve.h"

namespace qwen_infer::tune {

// The settings that are compared with full attention, by their places in the report: fixed budget first, then profile.
inline constexpr size_t kFixedWay = 1;
inline constexpr size_t kTunedWay = 2;

// The members of the profile that readers pass over:
//   {"aim": "--budget 128", "command", "date", "versions", "processor",
//    "tried": [{"settings", "kl", "keys_per_row"}, ...]: on the calibration windows; empty without a choice,
//    "refined": [{"dense_layers", "sinks", "temperature", "settings", "kl", "keys_per_row", "kl_difference": ESTIMATE},
//    ...]: the same, of the best of them, which comes first, with the difference from its divergence,
//    "layers": {"expected_kl": {"fixed", "layers"}, "mean_k", "measured": [{"layer", "k", "at": [{"k", "kl", "mass"},
//    ...]},
//    ...]}, "held_out": {"text_hash", "windows", "window", "first", "last": positions that count, "full", "fixed",
//    "tuned":
//      {"settings", "perplexity", "change_percent": ESTIMATE, "kl": ESTIMATE, "kept_share"},
//      "tuned_against_fixed": {"change_percent": ESTIMATE, "kl": ESTIMATE}}}
// where ESTIMATE is as in eval/report.h.
nlohmann::ordered_json Notes(const std::string& aim, std::span<const Curve> curves, const Budgets& budgets,
                             const Choice& choice, const eval::Report& held_out);

// A sentence about whether the profile is better than the fixed budget: only if the interval excludes that it is not.
std::string Verdict(const eval::Report& held_out);

// A sentence about whether perplexity rose by no more than this share, by the same rule.
std::string VerdictOnIncrease(const eval::Report& held_out, double allowed);

// What each refinement did to the divergence by itself, a line each. Empty if none was tried.
std::string RefinementText(const Choice& choice);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_NOTES_H_
