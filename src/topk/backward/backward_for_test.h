// What the tests of the backward pass share: a problem with its selection, and memory for its gradients.
#ifndef TOPK_SRC_BACKWARD_BACKWARD_FOR_TEST_H_
#define TOPK_SRC_BACKWARD_BACKWARD_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "topk/attention.h"
#include "topk/backward.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk::testing {

inline constexpr float kUntouched = -77.0F;

// All gradients of a problem, in memory with gaps between rows.
struct Gradients {
  explicit Gradients(const AttentionInput& in, size_t entries)
      : q(in.n_batch * in.n_query * in.n_head * (in.d_k + 1), kUntouched),
        k(in.n_batch * in.n_key * in.n_head_kv * (in.d_k + 2), kUntouched),
        v(in.n_batch * in.n_key * in.n_head_kv * (in.d_v + 3), kUntouched),
        scores(entries, kUntouched),
        view{ViewOf(q, in.n_query, in.n_head, in.d_k + 1), ViewOf(k, in.n_key, in.n_head_kv, in.d_k + 2),
             ViewOf(v, in.n_key, in.n_head_kv, in.d_v + 3), scores.data(), &scale} {}
  Gradients(const Gradients&) = delete;
  Gradients(Gradients&&) = delete;
  Gradients& operator=(const Gradients&) = delete;
  Gradients& operator=(Gradients&&) = delete;
  ~Gradients() = default;

  static OutputView ViewOf(std::vector<float>& numbers, int64_t n_token, int64_t n_head, int64_t row) {
    return {numbers.data(), 4 * n_head * row, 4 * row, 4 * n_token * n_head * row};
  }
  bool IsUntouched() const {
    const auto all = [](const std::vector<float>& numbers) {
      return std::all_of(numbers.begin(), numbers.end(), [](float x) { return x == kUntouched; });
    };
    return all(q) && all(k) && all(v) && all(scores) && scale == kUntouched;
  }

  std::vector<float> q, k, v, scores;
  double scale = kUntouched;
  AttentionGradients view;
};

// A problem with its selection and the gradient of its output.
struct Step {
  Step(const Shape& shape, uint32_t seed, const TopKOptions& how, const std::function<void(RandomProblem&)>& change)
      : problem(shape, seed),
        options(how),
        d_out(DataType::kF32, shape.n_batch, shape.n_query, shape.n_head, shape.d_v, shape.padding) {
    if (change) change(problem);
    std::mt19937 random(seed + 1);
    d_out.FillGaussian(random);
    d_out_view = d_out.view();
    OutputTensor out(problem.input);
    EXPECT_EQ(ReferenceAttention(problem.input, options, {out.view(), &selection, nullptr}).message(), "");
  }
  const AttentionInput& input() const { return problem.input; }

  RandomProblem problem;
  TopKOptions options;
  RandomTensor d_out;
  TensorView d_out_view;  // of it, or of the same numbers elsewhere
  Selection selection;
};

inline constexpr double kUnit = 0x1p-24;  // unit roundoff of f32

}  // namespace topk::testing

#endif  // TOPK_SRC_BACKWARD_BACKWARD_FOR_TEST_H_
