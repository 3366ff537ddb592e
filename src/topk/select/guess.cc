#include "topk/select/guess.h"

#include <algorithm>
#include <cmath>

#include "topk/select/select.h"

namespace topk {

std::optional<float> GuessFloor(float* scores, int64_t count, const SampledScores& sampled, int64_t k,
                                double deviations) {
  // How many of the k best are in the sample: a share of them, give or take the deviation of drawing without putting
  // back.
  const double share = static_cast<double>(sampled.n_sample) / static_cast<double>(sampled.n_keys);
  const double expected = static_cast<double>(k) * share;
  const int64_t rank =
      static_cast<int64_t>(std::ceil(expected + deviations * std::sqrt(expected * std::max(0.0, 1.0 - share)))) + 1;
  const int64_t most = rank + rank / 8;  // not worth more passes over the sample
  if (most >= sampled.n_sample) return std::nullopt;
  return FloorFor(scores, count, rank, most);
}

}  // namespace topk
