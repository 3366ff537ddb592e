#include "eval/tune/budget_settings.h"

namespace qwen_infer::tune {

std::string SettingsOf(const Budgets& budgets, int64_t plain_k) {
  std::string text = "k=" + std::to_string(plain_k);
  for (size_t first = 0, end = 0; first < budgets.size(); first = end) {
    while (end < budgets.size() && budgets[end] == budgets[first]) ++end;
    if (budgets[first] == plain_k) continue;
    text += ",k@" + std::to_string(first);
    if (end - first > 1) text += "-" + std::to_string(end - 1);
    text += "=" + std::to_string(budgets[first]);
  }
  return text;
}

}  // namespace qwen_infer::tune
