#include "topk/auto_budget.h"

#include <algorithm>
#include <cmath>

namespace topk {

namespace {

// From the sweep over prose in docs/quality.md: k = 32 to 256, 8 windows of 4,096 tokens, by the number n of visible
// keys. Where keys are dropped, the KL divergence from full attention grows about as n^0.90 and falls as k^-1.35. Then
// the same total of keys does most with k ~ n^0.38, and rows diverge alike with k ~ n^0.66: the root lies between.
// 32 makes it 128 at n = 512 and 256 at n = 2,048, budgets whose cost up to there is within the intervals, and 12.0 %
// of the keys of 4,096 tokens, where k = 256 keeps 12.1 %. With 64, one less of the budgets measured, n = 256 to 511
// cost 1.2 % of perplexity: no row has less than 128. Longer texts than 4,096 tokens were not in the sweep.
constexpr int64_t kSquaredPerVisible = 32;
// From here on it is kMostAutoBudget, long before a product overflows.
constexpr int64_t kVisibleOfMost = kMostAutoBudget * kMostAutoBudget / kSquaredPerVisible;

}  // namespace

int64_t AutoBudget(int64_t n_visible) {
  const int64_t squared = kSquaredPerVisible * std::clamp<int64_t>(n_visible, 0, kVisibleOfMost);
  // The root of a whole number below 2^53 is rounded right by IEEE 754, so it is the same on every machine.
  const auto budget = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(squared))));
  return std::clamp(budget, kLeastAutoBudget, kMostAutoBudget);
}

std::string BudgetInWords(int64_t k, int64_t n_visible) {
  return k == kAutoBudget ? "auto, " + std::to_string(AutoBudget(n_visible)) + " here," : std::to_string(k);
}

}  // namespace topk
