// Budgets of layers as a settings string.
#ifndef QWEN_INFER_EVAL_TUNE_BUDGET_SETTINGS_H_
#define QWEN_INFER_EVAL_TUNE_BUDGET_SETTINGS_H_

#include <cstdint>
#include <string>

#include "eval/tune/allocation.h"

namespace qwen_infer::tune {

// More than any window has: the budget of a layer with full attention.
inline constexpr int64_t kAllKeys = int64_t{1} << 30;

// "k=128,k@0=212,k@4-6=96": plain_k for all layers that nothing else is said of, which are those that have it anyway.
std::string SettingsOf(const Budgets& budgets, int64_t plain_k);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_BUDGET_SETTINGS_H_
