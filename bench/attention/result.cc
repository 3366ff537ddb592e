#include "attention/result.h"

#include <algorithm>
#include <limits>

namespace qwen_infer::attention_bench {

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Ratio RatioOfNeighbours(const std::vector<double>& numerators, const std::vector<double>& denominators) {
  std::vector<double> ratios;
  for (size_t i = 0; i < numerators.size(); ++i) ratios.push_back(numerators[i] / denominators[i]);
  const auto [min, max] = std::minmax_element(ratios.begin(), ratios.end());
  return {Median(ratios), *min, *max};
}

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
      if (IsStock(method) == stock && (!best || time_of(method) < time_of(*best))) best = method;
    }
    return *best;
  };
  row.best_stock = fastest(true);
  row.best_ours = fastest(false);
  const std::vector<double>& ours = times.call[IndexOf(row.best_ours)];
  row.speed_up = RatioOfNeighbours(times.call[IndexOf(row.best_stock)], ours);
  const LeastWork work = LeastWorkOf(the_case, row.best_ours);
  row.roofline = work.units * RatioOfNeighbours(times.unit[IndexOf(work.yardstick)], ours).median;
  return row;
}

}  // namespace qwen_infer::attention_bench
