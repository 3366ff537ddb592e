// Products with weights and their gradients against plain loops, at the edges of blocks.
#include "layer/projection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "layer/testing/random_numbers.h"
#include "layer/testing/reference.h"

namespace topk {
namespace {

using testing::Bounded;
using testing::Numbers;
using testing::RandomNumbers;

Numbers ToNumbers(const std::vector<float>& numbers) { return {numbers.begin(), numbers.end()}; }

void ExpectWithin(const std::vector<float>& got, const std::vector<Bounded>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i].value, want[i].bound) << i;
}

TEST(ProjectionTest, EqualsPlainLoopsAtTheEdgesOfBlocks) {
  std::mt19937_64 random(1);
  for (const int64_t rows : {0, 1, 63, 64, 65, 127, 128, 129, 300}) {
    for (const auto& [n_in, n_out] : {std::pair<int64_t, int64_t>{1, 1}, {7, 5}, {3, 129}, {33, 128}}) {
      SCOPED_TRACE(::testing::Message() << rows << " rows, " << n_in << " to " << n_out);
      const ProjectionShape shape = {rows, n_in, n_out};
      const std::vector<float> x = RandomNumbers(random, rows * n_in);
      const std::vector<float> weight = RandomNumbers(random, n_in * n_out);
      const std::vector<float> bias = RandomNumbers(random, n_out);
      const std::vector<float> grad_y = RandomNumbers(random, rows * n_out);
      const Numbers weight_f64 = ToNumbers(weight);
      const Numbers bias_f64 = ToNumbers(bias);
      const Numbers grad_f64 = ToNumbers(grad_y);
      const Executor executor = OpenMpExecutor(2);

      std::vector<float> y(grad_y.size(), NAN);
      ASSERT_TRUE(Project(shape, x.data(), weight.data(), bias.data(), y.data(), executor).ok());
      ExpectWithin(y, testing::ReferenceProject<Bounded>(ToNumbers(x), weight_f64, bias_f64.data(), n_in, n_out));
      ASSERT_TRUE(Project(shape, x.data(), weight.data(), nullptr, y.data(), executor).ok());
      ExpectWithin(y, testing::ReferenceProject<Bounded>(ToNumbers(x), weight_f64, nullptr, n_in, n_out));

      const auto input_gradient = testing::ReferenceInputGradient<Bounded>(grad_f64, weight_f64, n_in, n_out);
      std::vector<float> grad_x(x.size(), NAN);
      for (const bool add : {false, true}) {
        ASSERT_TRUE(ProjectInputGradient(shape, grad_y.data(), weight.data(), add, grad_x.data(), executor).ok());
        ExpectWithin(grad_x, add ? testing::ReferenceAdd(input_gradient, input_gradient) : input_gradient);
      }

      std::vector<float> grad_weight(weight.size(), NAN);
      std::vector<float> grad_bias(bias.size(), NAN);
      ASSERT_TRUE(
          ProjectParameterGradient(shape, grad_y.data(), x.data(), grad_weight.data(), grad_bias.data(), executor)
              .ok());
      ExpectWithin(grad_weight, testing::ReferenceWeightGradient<Bounded>(grad_f64, ToNumbers(x), n_in, n_out));
      ExpectWithin(grad_bias, testing::ReferenceBiasGradient<Bounded>(grad_f64, n_out));
    }
  }
}

}  // namespace
}  // namespace topk
