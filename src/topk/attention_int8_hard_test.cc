// Attention with int8 and int16 scans against the reference on numbers that integers hold badly: exact all the same.
#include <cmath>
#include <random>

#include "topk/attention.h"
#include "topk/attention_int8_for_test.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectEqualsReference;
using testing::Int8Shape;
using testing::kInf;
using testing::kNan;
using testing::kQueriesForInt8;
using testing::RandomProblem;
using testing::Shape;

class AttentionInt8HardTest : public testing::TargetTest {};

TEST_F(AttentionInt8HardTest, IsExactOnHardKeys) {
  const auto expect_equal = [&](const char* what, auto&& change) {
    for (int64_t n_query : kQueriesForInt8) {
      const Shape shape = Int8Shape(n_query, 3000, 64);
      RandomProblem problem(shape, 300);
      std::mt19937 random(301);
      std::normal_distribution<float> gaussian;
      for (int64_t j = 0; j < shape.n_key; ++j) {
        for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, j, 0, i, change(j, i, gaussian(random)));
      }
      ExpectEqualsReference(problem.input, {.k = 50}, shape.Name() + " " + what);
    }
  };
  expect_equal("huge biases", [](int64_t, int64_t i, float x) { return x + (i % 5 == 0 ? 3000.0F : 0.0F); });
  expect_equal("outlier channels", [](int64_t, int64_t i, float x) { return i < 2 ? 200.0F * x : x; });
  expect_equal("near ties", [](int64_t, int64_t i, float x) { return std::sin(static_cast<float>(i)) + 1e-7F * x; });
  // Int8 cannot tell the keys of a cluster apart, int16 can (scan_choice_test.cc shows that it is taken).
  expect_equal("two clusters", [](int64_t j, int64_t i, float x) {
    const float centre = 100.0F * std::sin(static_cast<float>(i * i));
    return x + (j % 3 == 0 ? centre : -centre);
  });
  expect_equal("one giant key", [](int64_t j, int64_t, float x) { return j == 1234 ? 1e6F * x : x; });
  expect_equal("huge keys", [](int64_t, int64_t, float x) { return 1e20F * x; });
  expect_equal("denormal keys", [](int64_t, int64_t, float x) { return 1e-40F * x; });
  expect_equal("mostly zero keys", [](int64_t j, int64_t, float x) { return j % 30 == 0 ? x : 0.0F; });
  expect_equal("keys that repeat", [](int64_t j, int64_t i, float) { return static_cast<float>((j % 11) * i % 7); });
  // The first and last keys of each block, where a sample sees too much or nothing of what counts.
  expect_equal("large at the start of blocks", [](int64_t j, int64_t, float x) { return j % 64 < 16 ? 5.0F * x : x; });
  expect_equal("large at the end of blocks", [](int64_t j, int64_t, float x) { return j % 64 >= 48 ? 5.0F * x : x; });
  expect_equal("growing keys", [](int64_t j, int64_t, float x) { return 0.01F * static_cast<float>(j) * x; });
  expect_equal("one infinite key", [](int64_t j, int64_t, float x) { return j == 77 ? kInf : x; });
  expect_equal("one NaN", [](int64_t j, int64_t i, float x) { return j == 77 && i == 5 ? kNan : x; });
}

// Keys that nobody sees are quantised with the others.
TEST_F(AttentionInt8HardTest, IsExactBesideHiddenKeysOfAnySize) {
  for (int64_t n_query : kQueriesForInt8) {
    Shape shape = Int8Shape(n_query, 2500, 32);
    shape.mask = Shape::Mask::kCausal;
    for (float hidden : {kNan, kInf, 3e38F, 1e20F, 1000.0F}) {
      RandomProblem problem(shape, 500);
      for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, shape.n_key - 1, 0, i, hidden);
      problem.input.n_query -= 1;  // the last one alone sees that key
      problem.input.causal = false;
      ExpectEqualsReference(problem.input, {.k = 30}, std::to_string(hidden) + " is hidden");
    }
  }
}

TEST_F(AttentionInt8HardTest, IsExactForHardQueries) {
  const Shape shape = Int8Shape(34, 2500, 32);
  RandomProblem problem(shape, 400);
  for (int64_t i = 0; i < shape.d_k; ++i) {
    problem.q.Set(0, 0, 0, i, 0.0F);
    problem.q.Set(0, 1, 0, i, 1e-42F);
    problem.q.Set(0, 2, 0, i, 1e25F);
    problem.q.Set(0, 3, 0, i, i == 7 ? 1.0F : 0.0F);
  }
  problem.q.Set(0, 4, 0, 3, kInf);
  problem.q.Set(0, 5, 0, 3, kNan);
  for (int64_t n_query : {34, 6, 1}) {  // the first ones
    problem.input.n_query = n_query;
    ExpectEqualsReference(problem.input, {.k = 30}, "hard queries");
    problem.input.scale = -problem.input.scale;
    ExpectEqualsReference(problem.input, {.k = 30, .temperature = 0.3F}, "negative scale");
  }
}

}  // namespace
}  // namespace topk
