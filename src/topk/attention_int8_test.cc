// Attention with int8 and int16 scans against the reference: exact, whatever the keys and queries are like.
#include <cmath>
#include <random>

#include "topk/attention.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectEqualsReference;
using testing::kInf;
using testing::kNan;
using testing::RandomProblem;
using testing::Shape;

class AttentionInt8Test : public testing::TargetTest {};

// Problems whose rows suit an int8 scan: none measures its mass. Many queries share one scan; few of more than 2,048
// keys split the keys.
constexpr int64_t kQueriesForInt8[] = {40, 3};
Shape Int8Shape(int64_t n_query, int64_t n_key, int64_t d) {
  return {.n_query = n_query, .n_key = n_key, .n_head = 3, .n_head_kv = 1, .d_k = d, .d_v = 4};
}

TEST_F(AttentionInt8Test, RulesOutNoKeyOfTheSelection) {
  uint32_t seed = 200;
  for (int64_t d : {1, 24, 64, 80, 128}) {
    for (int64_t n_key : {1000, 5000}) {
      for (DataType type : {DataType::kF32, DataType::kF16}) {
        for (int64_t n_query : kQueriesForInt8) {
          Shape shape = Int8Shape(n_query, n_key, d);
          shape.k_type = type;
          shape.mask = Shape::Mask::kCausal;
          const RandomProblem problem(shape, seed++);
          ExpectEqualsReference(problem.input, {.k = 40}, shape.Name());
          ExpectEqualsReference(problem.input, {.k = 20, .sinks = 3, .window = 100}, shape.Name() + " forced");
        }
      }
    }
  }
}

// Hidden keys between visible ones are scanned with them and must not be selected, nor spoil the guesses.
TEST_F(AttentionInt8Test, IsExactUnderMasksWithHoles) {
  uint32_t seed = 250;
  for (Shape::Mask mask : {Shape::Mask::kRandom, Shape::Mask::kSequences}) {
    for (DataType type : {DataType::kF16, DataType::kF32}) {
      for (int64_t n_key : {1000, 5000}) {
        for (bool causal : {false, true}) {
          Shape shape = Int8Shape(kQueriesForInt8[causal ? 1 : 0], n_key, 64);
          shape.mask = mask;
          shape.mask_type = type;
          RandomProblem problem(shape, seed++);
          problem.input.causal = causal;
          ExpectEqualsReference(problem.input, {.k = 30}, shape.Name());
          ExpectEqualsReference(problem.input, {.k = 20, .sinks = 3, .window = 100}, shape.Name() + " forced");
        }
      }
    }
  }
  // Keys of another sequence score far above those that the queries see.
  for (int64_t n_query : kQueriesForInt8) {
    Shape shape = Int8Shape(n_query, 3000, 32);
    shape.mask = Shape::Mask::kSequences;
    RandomProblem problem(shape, seed);
    for (int64_t query = 0; query < shape.n_query; ++query) {
      for (int64_t i = 0; i < 3 * shape.d_k; ++i) problem.q.Set(0, query, i / shape.d_k, i % shape.d_k, 1.0F);
    }
    for (int64_t j = 0; j < shape.n_key; ++j) {
      if (j / 50 % 3 != 0) continue;
      for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, j, 0, i, 3.0F);
    }
    ExpectEqualsReference(problem.input, {.k = 40}, "hidden keys with the highest scores");
  }
}

TEST_F(AttentionInt8Test, IsExactOnHardKeys) {
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

// The last block of a task is cut off where the next one begins, here not at a multiple of 64 keys, and what stands for
// the missing keys passes the threshold: most keys score below the middle of the range.
TEST_F(AttentionInt8Test, TasksOfferNoKeyTwice) {
  for (bool has_mask : {false, true}) {
    Shape shape = Int8Shape(1, 3000, 32);
    shape.mask = has_mask ? Shape::Mask::kCausal : Shape::Mask::kNone;
    RandomProblem problem(shape, 600);
    std::mt19937 random(601);
    std::normal_distribution<float> gaussian;
    for (int64_t j = 0; j < shape.n_key; ++j) {
      for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, j, 0, i, gaussian(random));
      const bool is_late = j % 512 < 8;  // wherever a task begins
      if (is_late || j % 64 == 0) problem.k.Set(0, j, 0, 0, 12.0F);
    }
    for (int64_t head = 0; head < shape.n_head; ++head) problem.q.Set(0, 0, head, 0, 3.0F);
    ExpectEqualsReference(problem.input, {.k = 200, .sinks = has_mask ? 37 : 4}, has_mask ? "mask" : "sinks");
  }
}

// Keys that nobody sees are quantised with the others.
TEST_F(AttentionInt8Test, IsExactBesideHiddenKeysOfAnySize) {
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

TEST_F(AttentionInt8Test, IsExactForHardQueries) {
  const Shape shape = Int8Shape(40, 2500, 32);
  RandomProblem problem(shape, 400);
  for (int64_t i = 0; i < shape.d_k; ++i) {
    problem.q.Set(0, 0, 0, i, 0.0F);
    problem.q.Set(0, 1, 0, i, 1e-42F);
    problem.q.Set(0, 2, 0, i, 1e25F);
    problem.q.Set(0, 3, 0, i, i == 7 ? 1.0F : 0.0F);
  }
  problem.q.Set(0, 4, 0, 3, kInf);
  problem.q.Set(0, 5, 0, 3, kNan);
  for (int64_t n_query : {40, 6, 1}) {  // the first ones
    problem.input.n_query = n_query;
    ExpectEqualsReference(problem.input, {.k = 30}, "hard queries");
    problem.input.scale = -problem.input.scale;
    ExpectEqualsReference(problem.input, {.k = 30, .temperature = 0.3F}, "negative scale");
  }
}

}  // namespace
}  // namespace topk
