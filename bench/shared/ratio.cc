#include "shared/ratio.h"

#include <algorithm>

namespace qwen_infer {

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

}  // namespace qwen_infer
