#include "topk/select/guess.h"

#include <cmath>

#include "topk/select/select.h"

namespace topk {

std::optional<float> GuessFloor(float* scores, int64_t count, const SampledScores& sampled, int64_t k,
                                double deviations) {
  // How many of the k best are in the sample is close to Poisson distributed: the variance is the mean.
  const double share = static_cast<double>(sampled.n_sample) / static_cast<double>(sampled.n_keys);
  const double expected = static_cast<double>(k) * share;
  const int64_t rank = static_cast<int64_t>(std::ceil(expected + deviations * std::sqrt(expected))) + 1;
  const int64_t most = rank + rank / 8;  // not worth more passes over the sample
  if (most >= sampled.n_sample) return std::nullopt;
  return FloorFor(scores, count, rank, most);
}

}  // namespace topk
