// Attention with int8 and int16 scans against the reference: exact under every mask and option.
#include <random>

#include "topk/attention.h"
#include "topk/attention_int8_for_test.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectEqualsReference;
using testing::Int8Shape;
using testing::kQueriesForInt8;
using testing::RandomProblem;
using testing::Shape;

class AttentionInt8Test : public testing::TargetTest {};

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

}  // namespace
}  // namespace topk
