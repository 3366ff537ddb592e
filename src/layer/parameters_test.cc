// Weights in MultiheadAttention's layout: read, refused, written.
#include "layer/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "layer/testing/temporary_folder.h"
#include "topk/safetensors.h"

namespace topk {
namespace {

std::vector<float> Counting(size_t size, float first) {
  std::vector<float> numbers(size);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

std::vector<float> Part(const std::vector<float>& numbers, int64_t first, int64_t count) {
  return {numbers.begin() + first, numbers.begin() + first + count};
}

class ParametersTest : public ::testing::Test {
 protected:
  std::unique_ptr<TopKAttention> Layer(const TopKAttentionShape& shape) {
    std::unique_ptr<TopKAttention> layer;
    EXPECT_EQ(TopKAttention::Create(shape, {}, layer).message(), "");
    return layer;
  }

  std::string Write(const std::vector<NamedTensor>& tensors) {
    EXPECT_EQ(WriteSafetensors(folder_.Path("weights"), tensors).message(), "");
    return folder_.Path("weights");
  }

  void ExpectRefused(const TopKAttentionShape& shape, const std::vector<NamedTensor>& tensors, const std::string& part,
                     const std::string& prefix = "") {
    const auto layer = Layer(shape);
    const std::vector<float> before = layer->parameters().q_weight;
    const std::string path = Write(tensors);
    const Status status = layer->LoadSafetensors(path, prefix);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
    EXPECT_NE(status.message().find(path), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(part), std::string::npos) << "'" << part << "' is not in: " << status.message();
    EXPECT_EQ(layer->parameters().q_weight, before);
  }

  const TopKAttentionShape small_{.embed_dim = 4, .num_heads = 2};
  const std::vector<float> packed_ = Counting(12 * 4, 100);
  const std::vector<float> in_bias_ = Counting(12, 200);
  const std::vector<float> out_weight_ = Counting(4 * 4, 300);
  const std::vector<float> out_bias_ = Counting(4, 400);
  // What MultiheadAttention(4, 2) saves.
  const std::vector<NamedTensor> whole_ = {{"in_proj_weight", {12, 4}, packed_},
                                           {"in_proj_bias", {12}, in_bias_},
                                           {"out_proj.weight", {4, 4}, out_weight_},
                                           {"out_proj.bias", {4}, out_bias_}};
  testing::TemporaryFolder folder_;
};

TEST_F(ParametersTest, ReadsPackedWeights) {
  const auto layer = Layer(small_);
  ASSERT_EQ(layer->LoadSafetensors(Write(whole_)).message(), "");
  const TopKAttentionParameters& p = layer->parameters();
  EXPECT_EQ(p.q_weight, Part(packed_, 0, 16));
  EXPECT_EQ(p.k_weight, Part(packed_, 16, 16));
  EXPECT_EQ(p.v_weight, Part(packed_, 32, 16));
  EXPECT_EQ(p.in_bias, in_bias_);
  EXPECT_EQ(p.out_weight, out_weight_);
  EXPECT_EQ(p.out_bias, out_bias_);
}

TEST_F(ParametersTest, ReadsPartsWithAPrefixAndLeavesOtherTensorsAlone) {
  const auto layer = Layer({.embed_dim = 4, .num_heads = 2, .num_kv_heads = 1, .kdim = 3, .vdim = 5, .bias = false});
  const std::vector<float> k = Counting(2 * 3, 10);
  const std::vector<float> v = Counting(2 * 5, 20);
  ASSERT_EQ(layer
                ->LoadSafetensors(Write({{"attn.q_proj_weight", {4, 4}, out_weight_},
                                         {"attn.k_proj_weight", {2, 3}, k},
                                         {"attn.v_proj_weight", {2, 5}, v},
                                         {"attn.out_proj.weight", {4, 4}, out_weight_},
                                         {"in_proj_bias", {12}, in_bias_}}),
                                  "attn.")
                .message(),
            "");
  EXPECT_EQ(layer->parameters().k_weight, k);
  EXPECT_EQ(layer->parameters().v_weight, v);
  EXPECT_TRUE(layer->parameters().in_bias.empty());
}

TEST_F(ParametersTest, ReadsBackWhatItHasWritten) {
  for (const TopKAttentionShape& shape :
       {small_, TopKAttentionShape{.embed_dim = 4, .num_heads = 2, .num_kv_heads = 1, .kdim = 3, .bias = false}}) {
    const auto layer = Layer(shape);
    layer->ResetParameters(5);
    const std::string path = folder_.Path("saved");
    ASSERT_EQ(layer->SaveSafetensors(path, "a.").message(), "");
    const auto other = Layer(shape);
    EXPECT_NE(other->parameters().v_weight, layer->parameters().v_weight);
    ASSERT_EQ(other->LoadSafetensors(path, "a.").message(), "");
    EXPECT_EQ(other->parameters().q_weight, layer->parameters().q_weight);
    EXPECT_EQ(other->parameters().k_weight, layer->parameters().k_weight);
    EXPECT_EQ(other->parameters().v_weight, layer->parameters().v_weight);
    EXPECT_EQ(other->parameters().out_weight, layer->parameters().out_weight);
    EXPECT_EQ(other->parameters().in_bias, layer->parameters().in_bias);
  }
}

TEST_F(ParametersTest, WritesTheNamesOfMultiheadAttention) {
  const auto names = [&](const TopKAttentionShape& shape) {
    EXPECT_TRUE(Layer(shape)->SaveSafetensors(folder_.Path("saved")).ok());
    SafetensorsFile file;
    EXPECT_TRUE(SafetensorsFile::Open(folder_.Path("saved"), file).ok());
    std::vector<std::string> found;
    for (const auto& [name, entry] : file.entries()) found.push_back(name);
    return found;
  };
  EXPECT_EQ(names(small_),
            (std::vector<std::string>{"in_proj_bias", "in_proj_weight", "out_proj.bias", "out_proj.weight"}));
  EXPECT_EQ(names({.embed_dim = 4, .num_heads = 2, .kdim = 3, .bias = false}),
            (std::vector<std::string>{"k_proj_weight", "out_proj.weight", "q_proj_weight", "v_proj_weight"}));
}

TEST_F(ParametersTest, RefusesFilesOfAnotherLayer) {
  ExpectRefused(small_, {}, "it has neither 'in_proj_weight' nor 'q_proj_weight'");
  ExpectRefused(small_, whole_, "neither 'x.in_proj_weight' nor 'x.q_proj_weight'; its first tensor is 'in_proj_bias'",
                "x.");
  ExpectRefused({.embed_dim = 8, .num_heads = 2}, whole_,
                "'in_proj_weight' has the shape [12, 4], but [24, 8] is needed");
  ExpectRefused({.embed_dim = 4, .num_heads = 2, .num_kv_heads = 1}, whole_, "but [8, 4] is needed");
  ExpectRefused({.embed_dim = 4, .num_heads = 2, .bias = false}, whole_,
                "it has 'in_proj_bias', but the layer is without bias");
  for (size_t left_out = 1; left_out < whole_.size(); ++left_out) {
    std::vector<NamedTensor> tensors = whole_;
    tensors.erase(tensors.begin() + static_cast<int64_t>(left_out));
    ExpectRefused(small_, tensors, "it has no tensor '" + whole_[left_out].name + "'");
  }
  const auto and_also = [&](const NamedTensor& tensor) {
    std::vector<NamedTensor> tensors = whole_;
    tensors.push_back(tensor);
    return tensors;
  };
  ExpectRefused(small_, and_also({"q_proj_weight", {4, 4}, out_weight_}), "both 'in_proj_weight' and 'q_proj_weight'");
  ExpectRefused(small_, and_also({"bias_k", {1, 1, 4}, out_bias_}), "'bias_k'");
  std::vector<NamedTensor> transposed = whole_;
  transposed[0].shape = {4, 12};
  ExpectRefused(small_, transposed, "has the shape [4, 12]");
}

TEST_F(ParametersTest, StartsAsMultiheadAttentionDoes) {
  const auto layer = Layer({.embed_dim = 64, .num_heads = 4});
  const auto largest = [](const std::vector<float>& numbers) {
    return std::abs(
        *std::max_element(numbers.begin(), numbers.end(), [](float a, float b) { return std::abs(a) < std::abs(b); }));
  };
  // Glorot's bound for [192, 64], and 1 / sqrt(64); of 4,096 uniform numbers the largest is within 1 % of it, surely.
  const double bound = std::sqrt(6.0 / (64 + 192));
  EXPECT_LE(largest(layer->parameters().k_weight), bound);
  EXPECT_GT(largest(layer->parameters().k_weight), 0.99 * bound);
  EXPECT_LE(largest(layer->parameters().out_weight), 0.125);
  EXPECT_GT(largest(layer->parameters().out_weight), 0.99 * 0.125);
  EXPECT_EQ(largest(layer->parameters().in_bias), 0.0F);
  const std::vector<float> before = layer->parameters().q_weight;
  layer->ResetParameters(1);
  EXPECT_NE(layer->parameters().q_weight, before);
  layer->ResetParameters(0);
  EXPECT_EQ(layer->parameters().q_weight, before);
}

}  // namespace
}  // namespace topk
