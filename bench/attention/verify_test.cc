#include "attention/verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace qwen_infer::attention_bench {
namespace {

topk::AttentionInput InputWith(int64_t n_query) {
  topk::AttentionInput input;
  input.n_query = n_query;
  input.n_key = 100;
  input.n_head = 2;
  input.d_k = input.d_v = 1;
  input.q.token_stride = 8;
  input.mask.query_stride = 200;
  return input;
}

TEST(VerifyTest, SamplesSpreadOverTheQueries) {
  const Sample sample(InputWith(512));
  EXPECT_EQ(sample.input.n_query, 4);
  EXPECT_EQ(sample.QueryOf(3), 510);
  EXPECT_EQ(sample.input.q.token_stride, 8 * 170);
  EXPECT_EQ(sample.input.mask.query_stride, 200 * 170);
}

TEST(VerifyTest, FewQueriesAreAllSampled) {
  const Sample sample(InputWith(3));
  EXPECT_EQ(sample.input.n_query, 3);
  EXPECT_EQ(sample.QueryOf(2), 2);
  EXPECT_EQ(sample.input.q.token_stride, 8);
}

TEST(VerifyTest, TheScoreBoundIsMadeOfTheLongestQueryAndKey) {
  topk::AttentionInput input = InputWith(2);
  input.n_key = 2;
  input.d_k = 2;
  input.scale = 0.5F;
  const std::vector<float> q = {1, 0, 0, 1, 3, 4, 0, 0};  // 2 queries, 2 heads
  const std::vector<ggml_fp16_t> k = {ggml_fp32_to_fp16(6), ggml_fp32_to_fp16(-8), 0, 0};
  input.q = {q.data(), topk::DataType::kF32, 16, 8, 0};
  input.k = {k.data(), topk::DataType::kF16, 4, 4, 0};
  EXPECT_DOUBLE_EQ(ScoreBound(Sample(input)), 0.5 * 5 * 10);
}

TEST(VerifyTest, TheWorstDifferenceIsRelativeToTheRootMeanSquare) {
  const Sample sample(InputWith(7));  // queries 0, 2, 4, 6
  const std::vector<float> reference(8, 2.0F);
  std::vector<float> output(14, 2.0F);
  output[2] = 99.0F;  // query 1: not in the sample
  EXPECT_EQ(WorstDifference(sample, reference, output.data()), 0);
  output[9] = 3.0F;
  EXPECT_DOUBLE_EQ(WorstDifference(sample, reference, output.data()), 0.5);
  output[12] = std::nanf("");
  EXPECT_TRUE(std::isinf(WorstDifference(sample, reference, output.data())));
}

TEST(VerifyTest, ADifferentSelectionIsNamed) {
  const Sample sample(InputWith(2));
  const topk::Selection reference{{0, 2, 4, 6, 8}, {1, 2, 1, 3, 5, 6, 7, 8}, {}};
  EXPECT_EQ(DifferentSelection(sample, reference, reference), "");
  topk::Selection other = reference;
  other.keys[3] = 4;
  EXPECT_EQ(DifferentSelection(sample, reference, other),
            "query 0 of head 1 keeps 2 other keys than the reference, the first is key 3");
}

}  // namespace
}  // namespace qwen_infer::attention_bench
