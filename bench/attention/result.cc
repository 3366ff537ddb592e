#include "attention/result.h"

#include <algorithm>

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
  const auto fastest = [&](bool stock) {
    std::optional<Method> best;
    for (const Method method : kMethods) {
      if (method == Method::kAsUsed || IsStock(method) != stock) continue;
      if (!best || row.TimeOf(method) < row.TimeOf(*best)) best = method;
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

double SpeedUpOverAnyType(const Row& row, std::span<const Row> others) {
  double fastest = row.TimeOf(row.best_stock);
  for (const Row& other : others) {
    if (other.the_case.IsSameButForType(row.the_case)) fastest = std::min(fastest, other.TimeOf(other.best_stock));
  }
  return fastest / row.TimeOf(Method::kAsUsed);
}

}  // namespace qwen_infer::attention_bench
