#include "attention/inputs.h"

#include <gtest/gtest.h>

#include <stdlib.h>  // mkdtemp
#include <atomic>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "attention/problem.h"

namespace qwen_infer::attention_bench {
namespace {

namespace fs = std::filesystem;

constexpr uint16_t kHidden = 0xFC00;  // -inf in f16

std::vector<float> NumbersOf(const ggml_tensor& tensor) {
  const auto* numbers = static_cast<const float*>(tensor.data);
  return {numbers, numbers + ggml_nelements(&tensor)};
}

class InputsTest : public testing::Test {
 protected:
  // The last 3 of 5 tokens, with 3 keys behind them that no query sees. 4 heads on 2.
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "inputs_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern + "/layer6.gguf";
    for (size_t i = 0; i < q_.size(); ++i) q_[i] = static_cast<float>(i);
    for (size_t i = 0; i < k_.size(); ++i) k_[i] = static_cast<float>(i);
    for (size_t query = 0; query < 3; ++query) std::fill_n(mask_.begin() + 8 * query, 3 + query, uint16_t{0});
    input_.n_query = 3;
    input_.n_key = 8;
    input_.n_head = 4;
    input_.n_head_kv = 2;
    input_.d_k = 2;
    input_.d_v = 2;
    input_.q = {q_.data(), topk::DataType::kF32, 32, 8, 0};
    input_.k = {k_.data(), topk::DataType::kF32, 16, 8, 0};
    input_.v = input_.k;
    input_.mask = {mask_.data(), topk::DataType::kF16, 1, 1, 16, 0, 0};
    input_.scale = 0.125F;
  }
  void TearDown() override { fs::remove_all(fs::path(path_).parent_path()); }

  void Write() const { ASSERT_TRUE(WriteRecording(input_, 6, path_).ok()); }

  topk::Status Read(std::vector<Case>& cases, std::vector<int64_t> queries = {1, 3}) const {
    Options options;
    options.inputs = {path_};
    options.queries = std::move(queries);
    return RecordedCases(options, cases);
  }

  std::string Refusal(std::vector<int64_t> queries = {1, 3}) const {
    Write();
    std::vector<Case> cases;
    return Read(cases, std::move(queries)).message();
  }

  std::string path_;
  std::vector<float> q_ = std::vector<float>(24);
  std::vector<float> k_ = std::vector<float>(32);
  std::vector<uint16_t> mask_ = std::vector<uint16_t>(24, kHidden);
  std::vector<float> sinks_ = std::vector<float>(4);
  topk::AttentionInput input_;
};

TEST_F(InputsTest, ShapesComeFromTheFile) {
  Write();
  std::vector<Case> cases;
  ASSERT_EQ(Read(cases).message(), "");
  ASSERT_EQ(cases.size(), 2U);
  EXPECT_EQ(cases[1].Name(), "3 queries, 5 keys, heads 4:2:2, f32, layer6.gguf");
  EXPECT_EQ(cases[1].InputsName(), "layer6.gguf");
  EXPECT_EQ(cases[1].Scale(), 0.125F);
}

TEST_F(InputsTest, ProblemsHoldTheLastQueriesAndAllKeysInUse) {
  Write();
  std::vector<Case> cases;
  ASSERT_EQ(Read(cases).message(), "");
  const std::atomic<bool> stop = false;
  const Problem decode(cases[0], 0, stop);
  const Problem prefill(cases[1], 0, stop);
  EXPECT_EQ(NumbersOf(*decode.q), std::vector<float>(q_.begin() + 16, q_.end()));
  EXPECT_EQ(NumbersOf(*prefill.q), q_);
  const std::vector<float> in_use(k_.begin(), k_.begin() + 20);
  for (const Problem* problem : {&decode, &prefill}) {
    EXPECT_EQ(problem->caches[0].k->ne[2], 5);
    EXPECT_EQ(NumbersOf(*problem->caches[0].k), in_use);
    EXPECT_EQ(NumbersOf(*problem->caches[0].v), in_use);
  }
}

TEST_F(InputsTest, WhatCannotBeComparedIsRefused) {
  EXPECT_EQ(Refusal({1, 4}), "--queries 4 is more than the 3 of " + path_);
  mask_[0] = kHidden;  // a window
  EXPECT_EQ(Refusal(), path_ +
                           ": query 0 of 3 does not see just the first 3 keys: record one sequence without a sliding "
                           "window");
  mask_[0] = 0;
  input_.sink_logits = sinks_.data();
  EXPECT_NE(Refusal().find("sink logits"), std::string::npos);
  input_.sink_logits = nullptr;
  input_.softcap = 50;
  EXPECT_NE(Refusal().find("soft-cap"), std::string::npos);
  input_.softcap = 0;
  input_.d_v = 1;
  EXPECT_NE(Refusal().find("differ in size: 2 and 1"), std::string::npos);
  input_.d_v = 2;
  input_.v.type = topk::DataType::kF16;
  EXPECT_NE(Refusal().find("different types"), std::string::npos);
  input_.v.type = topk::DataType::kF32;
  input_.n_batch = 2;
  EXPECT_NE(Refusal().find("2 sequences"), std::string::npos);
  input_.n_batch = 1;
  input_.mask = {};
  EXPECT_NE(Refusal().find("no mask"), std::string::npos);
}

TEST_F(InputsTest, AllKeysHiddenIsRefused) {
  std::fill(mask_.begin(), mask_.end(), kHidden);
  EXPECT_NE(Refusal().find("more queries than keys"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
