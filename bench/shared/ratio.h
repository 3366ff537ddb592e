// Figures of measurements that were repeated in turns. The machine's speed drifts, so only neighbours in time are
// compared.
#ifndef QWEN_INFER_BENCH_SHARED_RATIO_H_
#define QWEN_INFER_BENCH_SHARED_RATIO_H_

#include <vector>

namespace qwen_infer {

// Of an even number of values, the mean of the two in the middle. Not empty.
double Median(std::vector<double> values);

struct Ratio {
  double median = 0;
  double min = 0;
  double max = 0;
};

// numerators[i] / denominators[i], of equal and positive length.
Ratio RatioOfNeighbours(const std::vector<double>& numerators, const std::vector<double>& denominators);

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_RATIO_H_
