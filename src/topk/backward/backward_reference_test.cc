// The reference of the backward pass against finite differences of ReferenceAttention.
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>

#include "topk/attention.h"
#include "topk/backward.h"
#include "topk/backward/backward_for_test.h"
#include "topk/numeric.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::Gradients;
using testing::kUnit;
using testing::OutputTensor;
using testing::RandomProblem;
using testing::RandomTensor;
using testing::Shape;
using testing::Step;

// The slope of a smooth function at 0, by central differences with two steps (Richardson): off by h^4 / 30 times the
// fifth derivative.
constexpr double kStep = 0x1p-5;
double Slope(const std::function<double(double)>& f) {
  const auto slope = [&](double h) { return (f(h) - f(-h)) / (2 * h); };
  return (4 * slope(kStep) - slope(2 * kStep)) / 3;
}

// The loss is sum go.out over a problem whose selection stays as it is while inputs move: each row keeps all that it
// sees. Under ReLU a bias keeps scores away from the kink: they are within 5 here, or the soft-cap.
class Loss {
 public:
  Loss(Activation activation, float softcap, float dropout)
      : step_({.n_query = 6,
               .n_key = 40,
               .n_head = 4,
               .n_head_kv = 2,
               .d_k = 5,
               .d_v = 3,
               .mask = Shape::Mask::kRandom,
               .mask_type = DataType::kF32,
               .softcap = softcap,
               .sink_logits = activation == Activation::kSoftmax},
              600, {.k = 100}, [&](RandomProblem& problem) {
                problem.input.activation = activation;
                problem.input.dropout_p = dropout;
                for (size_t i = 0; i < problem.mask_f32.size() && activation == Activation::kRelu; ++i) {
                  problem.mask_f32[i] += i % 3 == 0 ? -8.0F : 8.0F;
                }
              }) {}

  Step& step() { return step_; }
  // Also sums the magnitudes of the terms, if wanted.
  double Value(double* magnitude = nullptr) const {
    const AttentionInput& in = step_.input();
    OutputTensor out(in);
    EXPECT_TRUE(ReferenceAttention(in, step_.options, {out.view()}).ok());
    double sum = 0;
    for (int64_t row = 0; row < in.n_query * in.n_head; ++row) {
      const uint8_t* d_out = step_.d_out.view().Row(0, row / in.n_head, row % in.n_head);
      for (int64_t i = 0; i < in.d_v; ++i) {
        const double term = static_cast<double>(ReadNumber(DataType::kF32, d_out, i)) *
                            static_cast<double>(out.numbers[row * in.d_v + i]);
        sum += term;
        if (magnitude != nullptr) *magnitude += std::abs(term);
      }
    }
    return sum;
  }
  double SlopeOf(float& x) const {
    const float old = x;
    const double slope = Slope([&](double h) {
      x = static_cast<float>(old + h);
      return Value();
    });
    x = old;
    return slope;
  }

 private:
  Step step_;
};

void ExpectFiniteDifferences(Activation activation, float softcap, float dropout, const std::string& what) {
  Loss loss(activation, softcap, dropout);
  Step& step = loss.step();
  const AttentionInput& in = step.input();
  Gradients gradients(in, step.selection.keys.size());
  const SelectionView selection = step.selection.View();
  ASSERT_TRUE(ReferenceAttentionBackward(in, step.options, selection, step.d_out.view(), gradients.view).ok());

  // Each output is rounded to f32: at most 2 u |loss| in the difference of two, over the step. Fifth derivatives are
  // below 30 here, and moved inputs are rounded too: 1e-5 each.
  double magnitude = 0;
  loss.Value(&magnitude);
  const double tolerance = 2 * kUnit * magnitude / kStep + 2e-5;
  const auto expect_slopes = [&](RandomTensor& tensor, int64_t n_token, int64_t n_head, int64_t d,
                                 const OutputView& gradient, const std::string& name) {
    for (int64_t t = 0; t < n_token; t += 5) {
      for (int64_t h = 0; h < n_head; ++h) {
        for (int64_t i = 0; i < d; i += 2) {
          auto* row = reinterpret_cast<float*>(const_cast<uint8_t*>(tensor.view().Row(0, t, h)));
          EXPECT_NEAR(gradient.Row(0, t, h)[i], loss.SlopeOf(row[i]), tolerance) << what << " " << name << " " << t;
        }
      }
    }
  };
  expect_slopes(step.problem.q, in.n_query, in.n_head, in.d_k, gradients.view.d_q, "d_q");
  expect_slopes(step.problem.k, in.n_key, in.n_head_kv, in.d_k, gradients.view.d_k, "d_k");
  expect_slopes(step.problem.v, in.n_key, in.n_head_kv, in.d_v, gradients.view.d_v, "d_v");

  // The mask is shared by the heads, so its gradient is the sum over theirs.
  for (int64_t j = 0; j < 3; ++j) {
    const KeyIndex key = selection.keys[j];
    double sum = 0;
    for (int64_t head = 0; head < in.n_head; ++head) sum += gradients.scores[selection.row_offsets[head] + j];
    EXPECT_NEAR(sum, loss.SlopeOf(step.problem.mask_f32[key]), tolerance) << what << " mask of key " << key;
  }
  // d_scale is some 100 times the others, and so are its derivatives.
  EXPECT_NEAR(gradients.scale, loss.SlopeOf(step.problem.input.scale), 100 * tolerance) << what << " d_scale";
}

TEST(BackwardReferenceTest, ReferenceEqualsFiniteDifferencesOfTheForwardPass) {
  for (Activation activation : {Activation::kSoftmax, Activation::kRelu}) {
    for (float softcap : {0.0F, 3.0F}) {
      for (float dropout : {0.0F, 0.4F}) {
        ExpectFiniteDifferences(activation, softcap, dropout,
                                std::string(activation == Activation::kRelu ? "relu" : "softmax") + " cap " +
                                    std::to_string(softcap) + " dropout " + std::to_string(dropout));
      }
    }
  }
}

}  // namespace
}  // namespace topk
