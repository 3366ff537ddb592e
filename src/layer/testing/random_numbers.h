// Random numbers that are the same with every standard library.
#ifndef TOPK_SRC_LAYER_TESTING_RANDOM_NUMBERS_H_
#define TOPK_SRC_LAYER_TESTING_RANDOM_NUMBERS_H_

#include <cstdint>
#include <random>
#include <vector>

namespace topk::testing {

// In [-1, 1), multiples of 2^-23.
inline std::vector<float> RandomNumbers(std::mt19937_64& random, int64_t count) {
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& x : numbers) x = static_cast<float>(static_cast<double>(random() >> 40) * 0x1p-23 - 1);
  return numbers;
}

}  // namespace topk::testing

#endif  // TOPK_SRC_LAYER_TESTING_RANDOM_NUMBERS_H_
