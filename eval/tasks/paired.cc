#include "eval/tasks/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qwen_infer::tasks {

double McNemarExact(int64_t only_first, int64_t only_second) {
  const auto n = static_cast<double>(only_first + only_second);
  const int64_t fewer = std::min(only_first, only_second);
  // The terms n! / (i! (n - i)!) / 2^n, by their logarithms: 2^n need not fit.
  double log_term = -n * std::log(2);
  double tail = 0;
  for (int64_t i = 0; i <= fewer; ++i) {
    tail += std::exp(log_term);
    log_term += std::log(n - static_cast<double>(i)) - std::log(static_cast<double>(i) + 1);
  }
  return std::min(1.0, 2 * tail);
}

eval::Estimate MeanDifference(std::span<const double> differences, double step) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  constexpr double k95 = 1.959964;  // quantile 0.975 of the normal distribution
  if (differences.empty()) return {kNone, kNone, kNone};
  double sum = 0;
  double squares = 2 * step * step;
  for (const double difference : differences) {
    sum += difference;
    squares += difference * difference;
  }
  const auto n = static_cast<double>(differences.size());
  const double centre = sum / (n + 2);
  const double half = k95 * std::sqrt((squares / (n + 2) - centre * centre) / (n + 2));
  return {sum / n, std::max(centre - half, -1.0), std::min(centre + half, 1.0)};
}

}  // namespace qwen_infer::tasks
