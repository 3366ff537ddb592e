#include "layer.h"

#include <gtest/gtest.h>

#include "settings.h"
#include "tensors_for_test.h"

namespace qwen_infer {
namespace {

TEST(LayerOfCacheName, ReadsLlamaCppsNames) {
  EXPECT_EQ(LayerOfCacheName("cache_k_l0"), 0);
  EXPECT_EQ(LayerOfCacheName("cache_k_l127"), 127);
  EXPECT_EQ(LayerOfCacheName("cache_idx_k_l5"), 5);
  EXPECT_EQ(LayerOfCacheName("cache_k_l7 (view) (permuted)"), 7);
  EXPECT_EQ(LayerOfCacheName("TOPK#cache_k_l12 (view) (permuted)#0"), 12);
}

TEST(LayerOfCacheName, KnowsNoLayerInOtherNames) {
  for (const char* name : {"", "k", "cache_k_l", "cache_k_lx", "cache_v_l3", "cache_r_l3", "Kcur-3", "blk.3.attn_k",
                           "cache_k_l-1", "cache_k_l99999999999999999999"}) {
    EXPECT_EQ(LayerOfCacheName(name), kUnknownLayer) << name;
  }
}

TEST(LayerOf, FollowsPermutedViewsOfTheCache) {
  const ggml_context_ptr context = NewContext(false);
  EXPECT_EQ(LayerOf(*NewAttention(context.get(), {})), 3);
}

TEST(LayerOf, FollowsCastsAndConcatenations) {
  const ggml_context_ptr context = NewContext(false);
  ggml_tensor* op = NewAttention(context.get(), {});
  ggml_tensor* k = op->src[1];
  op->src[1] = ggml_cast(context.get(), k, GGML_TYPE_F32);
  EXPECT_EQ(LayerOf(*op), 3);
  ggml_tensor* other = ggml_new_tensor(context.get(), k->type, GGML_MAX_DIMS, k->ne);
  ggml_set_name(other, "cache_k_l9");
  op->src[1] = ggml_permute(context.get(), ggml_concat(context.get(), k, other, 1), 0, 1, 2, 3);
  EXPECT_EQ(LayerOf(*op), 3);
}

TEST(LayerOfQueryName, ReadsLlamaCppsNames) {
  EXPECT_EQ(LayerOfQueryName("Qcur-0"), 0);
  EXPECT_EQ(LayerOfQueryName("Qcur_pos-24 (view) (permuted)"), 24);
  EXPECT_EQ(LayerOfQueryName("TOPK#q_pe-12 (view)#0"), 12);
  for (const char* name : {"", "q", "Qcur", " (view) (permuted)", "Qcur-", "Qcur (view-3)", "blk.3.attn_q.weight",
                           "node_17", "Qcur-99999999999999999999"}) {
    EXPECT_EQ(LayerOfQueryName(name), kUnknownLayer) << name;
  }
}

TEST(LayerOf, IsThatOfTheQueryWhereItReadsTheCacheOfAnother) {
  const ggml_context_ptr context = NewContext(false);
  ggml_tensor* op = NewAttention(context.get(), {});
  ggml_tensor* q = op->src[0]->view_src;
  ggml_set_name(q, "Qcur-8");
  op->src[0] = ggml_permute(context.get(), q, 0, 2, 1, 3);
  EXPECT_EQ(LayerOf(*op), 8);
  ggml_tensor* rotation = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, q->ne[0], q->ne[0]);
  ggml_tensor* rotated =
      ggml_mul_mat(context.get(), rotation, ggml_reshape_2d(context.get(), q, q->ne[0], q->ne[1] * q->ne[2]));
  op->src[0] =
      ggml_permute(context.get(), ggml_reshape_4d(context.get(), rotated, q->ne[0], q->ne[1], q->ne[2], 1), 0, 2, 1, 3);
  EXPECT_EQ(LayerOf(*op), 8);
}

TEST(LayerOf, IsUnknownWithoutCache) {
  const ggml_context_ptr context = NewContext(false);
  ggml_tensor* op = NewAttention(context.get(), {});
  op->src[1] = ggml_new_tensor(context.get(), GGML_TYPE_F16, GGML_MAX_DIMS, op->src[1]->ne);
  ggml_set_name(op->src[1], "Kcur-3");
  EXPECT_EQ(LayerOf(*op), kUnknownLayer);
}

}  // namespace
}  // namespace qwen_infer
