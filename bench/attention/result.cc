#include "attention/result.h"

#include <limits>

namespace qwen_infer::attention_bench {

Row Evaluate(const Case& the_case, const Times& times) {
  Row row;
  row.the_case = the_case;
  row.times = times;
  for (const Method method : kMethods) {
    const std::vector<double>& seconds = times.call[IndexOf(method)];
    if (seconds.empty()) continue;
    row.microseconds[IndexOf(method)] = 1e6 * Median(seconds) / static_cast<double>(the_case.Rows());
  }
  const auto time_of = [&row](Method method) {
    return row.microseconds[IndexOf(method)].value_or(std::numeric_limits<double>::infinity());
  };
  const auto fastest = [&](bool stock) {
    std::optional<Method> best;
    for (const Method method : kMethods) {
      if (method == Method::kAsUsed || IsStock(method) != stock) continue;
      if (!best || time_of(method) < time_of(*best)) best = method;
    }
    return *best;
  };
  row.best_stock = fastest(true);
  row.best_ours = fastest(false);
  row.speed_up = RatioOfNeighbours(times.call[IndexOf(row.best_stock)], times.call[IndexOf(Method::kAsUsed)]);
  const std::vector<double>& ours = times.call[IndexOf(row.best_ours)];
  const LeastWork work = LeastWorkOf(the_case, row.best_ours);
  row.roofline = work.units * RatioOfNeighbours(times.unit[IndexOf(work.yardstick)], ours).median;
  return row;
}

}  // namespace qwen_infer::attention_bench
