// k=auto: how many keys a row keeps, from how many it sees.
//
//   AutoBudget(n) = sqrt(32 n), rounded up, from 128 to 512
//
// 128 keys up to 512 visible ones, 256 of 2,048, 512 from 8,192 on. src/topk/auto_budget.cc has the measurements.
#ifndef TOPK_AUTO_BUDGET_H_
#define TOPK_AUTO_BUDGET_H_

#include <cstdint>
#include <string>

namespace topk {

// As TopKOptions::k: the budget of each row is AutoBudget of the keys that it sees.
inline constexpr int64_t kAutoBudget = -1;

inline constexpr int64_t kLeastAutoBudget = 128;
inline constexpr int64_t kMostAutoBudget = 512;

// A function of this number alone, so a row keeps the same keys in a prompt, in a batch and by itself. Never falls as
// n_visible grows, nor does n_visible - AutoBudget(n_visible) from kLeastAutoBudget on. Any thread.
int64_t AutoBudget(int64_t n_visible);

// A budget as messages name it: "256", or "auto, 363 here," where it is kAutoBudget and a row sees so many keys.
std::string BudgetInWords(int64_t k, int64_t n_visible);

}  // namespace topk

#endif  // TOPK_AUTO_BUDGET_H_
