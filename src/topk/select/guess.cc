#include "topk/select/guess.h"

#include <cmath>

namespace topk {

// How many of the k best are in the sample is close to Poisson distributed: the variance is the mean.
int64_t GuessRank(int64_t k, int64_t n_sample, int64_t n_keys, double deviations) {
  const double expected = static_cast<double>(k) * static_cast<double>(n_sample) / static_cast<double>(n_keys);
  return static_cast<int64_t>(std::ceil(expected + deviations * std::sqrt(expected))) + 1;
}

}  // namespace topk
