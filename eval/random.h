// Random numbers that a seed makes the same on every machine: not the distributions, shuffle and sample of the standard
// library, which every implementation does in its own way.
#ifndef QWEN_INFER_EVAL_RANDOM_H_
#define QWEN_INFER_EVAL_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace qwen_infer::eval {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // A number below `bound`, which is far below 2^32, so that the bias is small.
  size_t Below(size_t bound) { return static_cast<size_t>(((engine_() >> 32) * bound) >> 32); }

  // `count` of the elements, each at most once, in random order; there are so many.
  template <typename T>
  std::vector<T> Sample(std::vector<T> elements, size_t count) {
    for (size_t i = 0; i < count; ++i) std::swap(elements[i], elements[i + Below(elements.size() - i)]);
    elements.resize(count);
    return elements;
  }

  template <typename T>
  std::vector<T> Shuffled(std::vector<T> elements) {
    const size_t count = elements.size();
    return Sample(std::move(elements), count);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_RANDOM_H_
