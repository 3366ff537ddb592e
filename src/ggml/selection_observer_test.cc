// Observers as contexts with top-k attention of their own have them.
#include "selection_observer.h"

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backend.h"
#include "plugin.h"
#include "tensors_for_test.h"

namespace qwen_infer {
namespace {

constexpr int kLayer = 3;  // of NewAttention

struct Seen {
  int layer = 0;
  int64_t n_query = 0;
  std::vector<int64_t> row_offsets;
  std::vector<topk::KeyIndex> keys;
  std::vector<float> weights;
  std::vector<float> mass;
};

class Collector : public SelectionObserver {
 public:
  explicit Collector(int wanted) : wanted_(wanted) {}

  bool Wants(int layer) const override { return layer == wanted_; }
  void Observe(int layer, const topk::AttentionInput& input, const topk::SelectionView& selection,
               std::span<const float> mass) override {
    seen.push_back({.layer = layer,
                    .n_query = input.n_query,
                    .row_offsets = {selection.row_offsets.begin(), selection.row_offsets.end()},
                    .keys = {selection.keys.begin(), selection.keys.end()},
                    .weights = {selection.weights.begin(), selection.weights.end()},
                    .mass = {mass.begin(), mass.end()}});
  }

  std::vector<Seen> seen;

 private:
  int wanted_;
};

class SelectionObserverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Settings settings;
    // Rows below the crossover would run dense, and without `mass` none would be measured.
    ASSERT_TRUE(ParseSettings("k=2,crossover=1000,mass=exact", settings).ok());
    const topk::Status status = TopKContexts::Create(settings, contexts_);
    ASSERT_TRUE(status.ok()) << status.message();
    contexts_->MakeContext([this] {
      ggml_backend_dev_t device = ggml_backend_dev_by_name(kBackendName);
      backend_.reset(device == nullptr ? nullptr : ggml_backend_dev_init(device, nullptr));
    });
    ASSERT_NE(backend_, nullptr);
  }

  // One operation of kLayer, all of whose scores are 0 but that of key 5.
  ggml_status Compute() {
    constexpr OpShape kShape = {.n_query = 2, .n_key = 8, .type_k = GGML_TYPE_F32, .type_v = GGML_TYPE_F32};
    const ggml_context_ptr context = NewContext(true);
    ggml_tensor* op = NewAttention(context.get(), kShape);
    for (ggml_tensor* operand : {op->src[0], op->src[1], op->src[2]}) {
      ggml_set_zero(operand->view_src != nullptr ? operand->view_src : operand);
    }
    auto* q = static_cast<float*>(op->src[0]->data);
    std::fill_n(q, kShape.d_k * kShape.n_query * kShape.n_head, 1.0F);
    for (int64_t head = 0; head < kShape.n_head_kv; ++head) {
      static_cast<float*>(op->src[1]->data)[(5 * kShape.n_head_kv + head) * kShape.d_k] = 1.0F;
    }
    ggml_cgraph* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, op);
    return ggml_backend_graph_compute(backend_.get(), graph);
  }

  std::unique_ptr<TopKContexts> contexts_;
  ggml_backend_ptr backend_;
};

TEST_F(SelectionObserverTest, SeesWhatEveryRowOfItsLayerKeptAndItsMass) {
  const auto collector = std::make_shared<Collector>(kLayer);
  contexts_->SetObserver(collector);
  ASSERT_EQ(Compute(), GGML_STATUS_SUCCESS);
  ASSERT_EQ(collector->seen.size(), 1U);
  const Seen& seen = collector->seen[0];
  EXPECT_EQ(seen.layer, kLayer);
  EXPECT_EQ(seen.n_query, 2);
  constexpr size_t kRows = 2 * 4;  // queries, heads
  ASSERT_EQ(seen.row_offsets.size(), kRows + 1);
  ASSERT_EQ(seen.mass.size(), kRows);
  const double best = std::exp(1.0);
  for (size_t row = 0; row < kRows; ++row) {
    ASSERT_EQ(seen.row_offsets[row + 1], 2 * (static_cast<int64_t>(row) + 1));
    EXPECT_EQ(seen.keys[2 * row], 0) << "the lowest of the equal ones";
    EXPECT_EQ(seen.keys[2 * row + 1], 5);
    EXPECT_NEAR(seen.weights[2 * row + 1], best / (best + 1), 1e-6);
    EXPECT_NEAR(seen.mass[row], (best + 1) / (best + 7), 1e-6);
  }
}

TEST_F(SelectionObserverTest, LayersThatNobodyWantsAndCallsAfterItRunAsEver) {
  const auto collector = std::make_shared<Collector>(kLayer + 1);
  contexts_->SetObserver(collector);
  ASSERT_EQ(Compute(), GGML_STATUS_SUCCESS);
  EXPECT_TRUE(collector->seen.empty());
  const std::vector<LayerStatistics> layers = contexts_->GetStatistics();
  ASSERT_EQ(layers.size(), 1U);
  EXPECT_EQ(layers[0].sums.dense_rows, layers[0].sums.rows) << "below the crossover";

  const auto another = std::make_shared<Collector>(kLayer);
  contexts_->SetObserver(another);
  contexts_->SetObserver(nullptr);
  ASSERT_EQ(Compute(), GGML_STATUS_SUCCESS);
  EXPECT_TRUE(another->seen.empty());
}

class Refuser : public SelectionObserver {
 public:
  bool Wants(int /*layer*/) const override { return true; }
  void Observe(int /*layer*/, const topk::AttentionInput& /*input*/, const topk::SelectionView& /*selection*/,
               std::span<const float> /*mass*/) override {
    throw std::runtime_error("not like this");
  }
};

TEST_F(SelectionObserverTest, WhatItThrowsEndsTheComputation) {
  contexts_->SetObserver(std::make_shared<Refuser>());
  EXPECT_EQ(Compute(), GGML_STATUS_FAILED);
  EXPECT_EQ(contexts_->LastError(), "not like this");
}

}  // namespace
}  // namespace qwen_infer
