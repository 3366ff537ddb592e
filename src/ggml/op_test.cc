#include "op.h"

#include <gtest/gtest.h>

#include <string>

#include "tensors_for_test.h"

namespace qwen_infer {
namespace {

constexpr ggml_type kSupportedTypes[] = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0};

class OpTest : public ::testing::Test {
 protected:
  ggml_tensor* New(const OpShape& shape = {}) { return NewAttention(context_.get(), shape); }

  // Null if supported, as WhyUnsupported.
  static std::string Why(const ggml_tensor* op) {
    const char* why = WhyUnsupported(*op);
    return why == nullptr ? "" : why;
  }

  ggml_context_ptr context_ = NewContext(true);
};

TEST_F(OpTest, SupportsEveryMixOfItsTypes) {
  for (const ggml_type type_k : kSupportedTypes) {
    for (const ggml_type type_v : kSupportedTypes) {
      EXPECT_EQ(Why(New({.type_k = type_k, .type_v = type_v})), "") << ggml_type_name(type_k) << ggml_type_name(type_v);
    }
  }
}

TEST_F(OpTest, RefusesOtherTypes) {
  for (const ggml_type type : {GGML_TYPE_Q4_0, GGML_TYPE_Q5_1, GGML_TYPE_IQ4_NL}) {
    EXPECT_NE(Why(New({.type_k = type})).find("k is not"), std::string::npos);
    EXPECT_NE(Why(New({.type_v = type})).find("v is not"), std::string::npos);
  }
  ggml_tensor* op = New();
  op->src[0] = ggml_cast(context_.get(), op->src[0], GGML_TYPE_F16);
  EXPECT_NE(Why(op).find("q or the result"), std::string::npos);
}

TEST_F(OpTest, SupportsHeadSizesFrom1To1024) {
  EXPECT_EQ(Why(New({.d_k = 1, .d_v = 1})), "");
  EXPECT_EQ(Why(New({.d_k = 576, .d_v = 512})), "");
  EXPECT_EQ(Why(New({.d_k = 1024, .d_v = 1024})), "");
  EXPECT_EQ(Why(New({.d_k = 65, .d_v = 67})), "");
  EXPECT_NE(Why(New({.d_k = 1025})).find("k is not"), std::string::npos);
  EXPECT_NE(Why(New({.d_v = 1025})).find("v is not"), std::string::npos);
}

TEST_F(OpTest, RefusesOtherOps) {
  ggml_tensor* op = New();
  op->op = GGML_OP_FLASH_ATTN_BACK;
  EXPECT_NE(WhyUnsupported(*op), nullptr);
}

TEST_F(OpTest, RefusesTransposedV) {
  ggml_tensor* op = New({.d_v = 16, .n_key = 16});
  op->src[2] = ggml_transpose(context_.get(), op->src[2]);
  EXPECT_NE(Why(op).find("v is not"), std::string::npos);
}

TEST_F(OpTest, RefusesHeadCountsThatDoNotFit) {
  ggml_tensor* op = New();
  op->src[2] = New({.n_head = 4, .n_head_kv = 4})->src[2];
  EXPECT_NE(Why(op).find("number of heads"), std::string::npos);
  op = New({.n_head = 4, .n_head_kv = 2});
  op->src[1] = New({.n_head = 3, .n_head_kv = 3})->src[1];
  op->src[2] = New({.n_head = 3, .n_head_kv = 3})->src[2];
  EXPECT_NE(Why(op).find("no multiple"), std::string::npos);
}

TEST_F(OpTest, RefusesMoreKeysThanTheKernelsCount) {
  ggml_tensor* op = New();
  op->src[1]->ne[1] = op->src[2]->ne[1] = topk::kMaxKeys;
  EXPECT_EQ(Why(op), "");
  op->src[1]->ne[1] = op->src[2]->ne[1] = topk::kMaxKeys + 1;
  EXPECT_NE(Why(op).find("more keys"), std::string::npos);
}

TEST_F(OpTest, RefusesMasksThatDoNotCoverTheScores) {
  const auto why = [&](ggml_type type, int64_t n_key, int64_t n_query, int64_t n_head) {
    ggml_tensor* op = New();
    op->src[3] = ggml_new_tensor_4d(context_.get(), type, n_key, n_query, n_head, 1);
    return Why(op);
  };
  EXPECT_EQ(why(GGML_TYPE_F16, 16, 3, 1), "");
  EXPECT_EQ(why(GGML_TYPE_F16, 32, 64, 2), "") << "padded, one for each KV head";
  EXPECT_NE(why(GGML_TYPE_F32, 16, 3, 1), "");
  EXPECT_NE(why(GGML_TYPE_F16, 15, 3, 1), "");
  EXPECT_NE(why(GGML_TYPE_F16, 16, 2, 1), "");
  EXPECT_NE(why(GGML_TYPE_F16, 16, 3, 3), "");
}

TEST_F(OpTest, RefusesSinkLogitsThatAreNotOneForEachHead) {
  ggml_tensor* op = New();
  op->src[4] = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, 4);
  EXPECT_EQ(Why(op), "");
  op->src[4] = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, 3);
  EXPECT_NE(Why(op), "");
  op->src[4] = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F16, 4);
  EXPECT_NE(Why(op), "");
}

TEST_F(OpTest, InputHasTheOpsShapesStridesAndParameters) {
  const OpShape shape = {.d_k = 64,
                         .d_v = 32,
                         .n_query = 3,
                         .n_key = 16,
                         .n_head = 4,
                         .n_head_kv = 2,
                         .n_batch = 2,
                         .type_k = GGML_TYPE_Q8_0,
                         .type_v = GGML_TYPE_BF16};
  ggml_tensor* built = New(shape);
  ggml_tensor* mask = ggml_new_tensor_4d(context_.get(), GGML_TYPE_F16, 16, 3, 2, 2);
  ggml_tensor* op =
      ggml_flash_attn_ext(context_.get(), built->src[0], built->src[1], built->src[2], mask, 0.125F, 8.0F, 30.0F);
  ggml_flash_attn_ext_add_sinks(op, ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, 4));
  ASSERT_EQ(Why(op), "");

  const topk::AttentionInput input = InputOf(*op);
  EXPECT_EQ(input.n_batch, 2);
  EXPECT_EQ(input.n_query, 3);
  EXPECT_EQ(input.n_key, 16);
  EXPECT_EQ(input.n_head, 4);
  EXPECT_EQ(input.n_head_kv, 2);
  EXPECT_EQ(input.d_k, 64);
  EXPECT_EQ(input.d_v, 32);
  EXPECT_FALSE(input.causal);
  EXPECT_EQ(input.scale, 0.125F);
  EXPECT_EQ(input.alibi_max_bias, 8.0F);
  EXPECT_EQ(input.softcap, 30.0F);
  EXPECT_EQ(input.sink_logits, op->src[4]->data);

  // Token rows hold all heads, one after the other; streams are whole caches of 32 cells.
  EXPECT_EQ(input.q.data, op->src[0]->data);
  EXPECT_EQ(input.q.type, topk::DataType::kF32);
  EXPECT_EQ(input.q.token_stride, 4 * 64 * 4);
  EXPECT_EQ(input.q.head_stride, 4 * 64);
  EXPECT_EQ(input.k.data, op->src[1]->data);
  EXPECT_EQ(input.k.type, topk::DataType::kQ8_0);
  EXPECT_EQ(input.k.head_stride, 2 * 34);
  EXPECT_EQ(input.k.token_stride, 2 * 2 * 34);
  EXPECT_EQ(input.k.batch_stride, 32 * 2 * 2 * 34);
  EXPECT_EQ(input.v.type, topk::DataType::kBF16);
  EXPECT_EQ(input.v.head_stride, 2 * 32);
  EXPECT_EQ(input.v.token_stride, 2 * 2 * 32);

  EXPECT_EQ(input.mask.data, mask->data);
  EXPECT_EQ(input.mask.type, topk::DataType::kF16);
  EXPECT_EQ(input.mask.n_head, 2);
  EXPECT_EQ(input.mask.n_batch, 2);
  EXPECT_EQ(input.mask.query_stride, 2 * 16);
  EXPECT_EQ(input.mask.head_stride, 2 * 16 * 3);
  EXPECT_EQ(input.mask.batch_stride, 2 * 16 * 3 * 2);

  const topk::OutputView output = OutputOf(*op);
  EXPECT_EQ(output.data, op->data);
  EXPECT_EQ(output.head_stride, 4 * 32);
  EXPECT_EQ(output.token_stride, 4 * 32 * 4);
  EXPECT_EQ(output.batch_stride, 4 * 32 * 4 * 3);
}

TEST_F(OpTest, InputHasTheHintOfHowManyKeysAreVisible) {
  ggml_tensor* op = New({.n_key = 16});
  EXPECT_EQ(InputOf(*op).most_visible, 0);
  ggml_flash_attn_ext_set_n_kv_max(op, 5);
  EXPECT_EQ(InputOf(*op).most_visible, 5);
  ggml_flash_attn_ext_set_n_kv_max(op, 1 << 30);
  EXPECT_EQ(InputOf(*op).most_visible, 16);
  op->op_params[4] = -1;
  EXPECT_EQ(InputOf(*op).most_visible, 0);
}

TEST_F(OpTest, InputWithoutMaskAndSinkLogitsHasNone) {
  const topk::AttentionInput input = InputOf(*New());
  EXPECT_EQ(input.mask.data, nullptr);
  EXPECT_EQ(input.sink_logits, nullptr);
}

}  // namespace
}  // namespace qwen_infer
