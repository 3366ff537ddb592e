#include "topk/head_major.h"

#include <cstring>
#include <tuple>

#include <gtest/gtest.h>

#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

// As many rows as let copies pay.
Shape ManyQueries(DataType type) {
  return {.n_batch = 2,
          .n_query = 90,
          .n_key = 700,
          .n_head = 4,
          .n_head_kv = 2,
          .d_k = 64,
          .d_v = 32,
          .k_type = type,
          .v_type = type,
          .mask = Shape::Mask::kCausal,
          .padding = 1};
}

class HeadMajorTest : public ::testing::TestWithParam<DataType> {};

TEST_P(HeadMajorTest, CopyHasTheRowsOfEachHeadSideBySide) {
  const RandomProblem problem(ManyQueries(GetParam()), 1);
  const AttentionInput& in = problem.input;
  const TopKOptions options{.k = 32};
  const AttentionOutput none;
  const Call call(in, options, none);
  ASSERT_TRUE(HeadMajorCopy::Pays(call, in.k, in.d_k, 1));

  Carver size(nullptr);
  HeadMajorCopy(size, call, in.k, in.d_k);
  ScratchMemory memory;
  ASSERT_TRUE(memory.Reserve(size.used()));
  Carver carver(memory.data());
  const TensorView copy = HeadMajorCopy(carver, call, in.k, in.d_k).Run(OpenMpExecutor(2));

  const int64_t row_bytes = RowBytes(in.k.type, in.d_k);
  EXPECT_EQ(copy.token_stride, row_bytes);
  EXPECT_FALSE(HeadMajorCopy::Pays(call, copy, in.d_k, 1e9)) << "a copy needs no copy";
  for (int64_t batch = 0; batch < in.n_batch; ++batch) {
    for (int64_t token = 0; token < in.n_key; ++token) {
      for (int64_t head = 0; head < in.n_head_kv; ++head) {
        ASSERT_EQ(
            std::memcmp(copy.Row(batch, token, head), in.k.Row(batch, token, head), static_cast<size_t>(row_bytes)), 0)
            << "batch " << batch << " token " << token << " head " << head;
      }
    }
  }
}

TEST_P(HeadMajorTest, OutputsAreThoseWithoutCopies) {
  const RandomProblem problem(ManyQueries(GetParam()), 2);
  const TopKOptions options{.k = 32, .scan = ScanMode::kInt8};
  OutputTensor copied(problem.input);
  ASSERT_TRUE(Attention(problem.input, options, {copied.view()}, SerialExecutor()).ok());

  // The same numbers in a layout that is not copied.
  const AttentionOutput none;
  const Call call(problem.input, options, none);
  ScratchMemory memory_k;
  ScratchMemory memory_v;
  AttentionInput side_by_side = problem.input;
  for (const auto& [memory, view, d] : {std::tuple(&memory_k, &side_by_side.k, problem.input.d_k),
                                        std::tuple(&memory_v, &side_by_side.v, problem.input.d_v)}) {
    Carver size(nullptr);
    HeadMajorCopy(size, call, *view, d);
    ASSERT_TRUE(memory->Reserve(size.used()));
    Carver carver(memory->data());
    *view = HeadMajorCopy(carver, call, *view, d).Run(SerialExecutor());
  }
  const AttentionInput& in = problem.input;
  const int64_t copied_bytes =
      in.n_batch * in.n_head_kv * in.n_key * (RowBytes(in.k.type, in.d_k) + RowBytes(in.v.type, in.d_v));
  EXPECT_NEAR(ScratchBytes(in, options, 1) - ScratchBytes(side_by_side, options, 1), copied_bytes, kCacheLineBytes);
  OutputTensor direct(side_by_side);
  ASSERT_TRUE(Attention(side_by_side, options, {direct.view()}, SerialExecutor()).ok());
  EXPECT_EQ(copied.numbers, direct.numbers);
}

TEST(HeadMajorPaysTest, NotForFewRows) {
  Shape shape = ManyQueries(DataType::kF16);
  shape.n_query = 4;
  shape.n_key = 5000;
  const RandomProblem problem(shape, 3);
  const TopKOptions options{.k = 32};
  const AttentionOutput none;
  const Call call(problem.input, options, none);
  EXPECT_FALSE(HeadMajorCopy::Pays(call, problem.input.k, problem.input.d_k, 2));
}

INSTANTIATE_TEST_SUITE_P(Types, HeadMajorTest,
                         ::testing::Values(DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0));

}  // namespace
}  // namespace topk
