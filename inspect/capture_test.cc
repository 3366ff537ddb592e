#include "capture.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace qwen_infer::inspect {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr uint16_t kHidden = 0xFC00;  // minus infinity in f16

// Operations of two heads over a text of four tokens, two tokens at a time, as a causal mask leaves them.
class CaptureTest : public ::testing::Test {
 protected:
  struct Row {
    std::vector<topk::KeyIndex> keys;
    std::vector<float> weights;
    float mass = 1;
  };

  // rows: [query][head].
  static void Observe(Capture& capture, int layer, int64_t first_token, const std::vector<Row>& rows) {
    constexpr int64_t kKeys = 4;
    const auto n_query = static_cast<int64_t>(rows.size()) / 2;
    std::vector<uint16_t> mask;
    for (int64_t query = 0; query < n_query; ++query) {
      for (int64_t key = 0; key < kKeys; ++key) mask.push_back(key <= first_token + query ? 0 : kHidden);
    }
    topk::AttentionInput input;
    input.n_query = n_query;
    input.n_key = kKeys;
    input.n_head = 2;
    input.mask = {mask.data(), topk::DataType::kF16, 1, 1, kKeys * 2, kKeys * 2 * n_query, 0};
    std::vector<int64_t> offsets = {0};
    std::vector<topk::KeyIndex> keys;
    std::vector<float> weights;
    std::vector<float> mass;
    for (const Row& row : rows) {
      keys.insert(keys.end(), row.keys.begin(), row.keys.end());
      weights.insert(weights.end(), row.weights.begin(), row.weights.end());
      offsets.push_back(static_cast<int64_t>(keys.size()));
      mass.push_back(row.mass);
    }
    capture.Observe(layer, input, {offsets, keys, weights}, mass);
  }

  // Tokens 0 and 1 of one layer.
  static void ReadTwo(Capture& capture, int layer) {
    Observe(capture, layer, 0, {{{0}, {1.0F}}, {{0}, {1.0F}}, {{0, 1}, {0.25F, 0.75F}, 0.5F}, {{1}, {1.0F}, 0.9F}});
  }
};

TEST_F(CaptureTest, KeepsTheStrongestOfEachHeadAndOfTheirMean) {
  const int layers[] = {5};
  Capture capture(layers, 4, 2);
  EXPECT_TRUE(capture.Wants(5));
  EXPECT_FALSE(capture.Wants(4));
  capture.Begin(0, 2);
  ReadTwo(capture, 5);
  capture.End();
  ASSERT_EQ(capture.layers().size(), 1U);
  const Rows& rows = capture.layers()[0]->rows;
  const auto weight_of = [&](const Rows& of, size_t row, size_t place) { return of.weights[row * 2 + place]; };
  constexpr size_t kTokens = 4;
  // Token 1 in head 0, head 1 and the mean.
  EXPECT_EQ(rows.keys[2 * 1], 1);
  EXPECT_EQ(weight_of(rows, 1, 0), PackShare(0.75));
  EXPECT_EQ(rows.keys[2 * 1 + 1], 0);
  EXPECT_EQ(weight_of(rows, 1, 1), PackShare(0.25));
  EXPECT_EQ(weight_of(rows, kTokens + 1, 0), PackShare(1));
  EXPECT_EQ(weight_of(rows, kTokens + 1, 1), 0);
  EXPECT_EQ(weight_of(rows, 2 * kTokens + 1, 0), PackShare(0.875));
  EXPECT_EQ(weight_of(rows, 2 * kTokens + 1, 1), PackShare(0.125));
  EXPECT_EQ(rows.kept[1], 2);
  EXPECT_EQ(rows.kept[kTokens + 1], 1);
  EXPECT_EQ(rows.kept[2 * kTokens + 1], 2) << "1.5, rounded";
  EXPECT_EQ(rows.dropped[1], PackShare(0.5));
  EXPECT_EQ(rows.dropped[2 * kTokens + 1], PackShare(0.3));
  // One layer is the mean of all.
  EXPECT_EQ(weight_of(capture.mean(), 1, 0), PackShare(0.875));
  EXPECT_EQ(capture.mean().dropped[1], PackShare(0.3));
}

TEST_F(CaptureTest, SumsUpEachHead) {
  const int layers[] = {0};
  Capture capture(layers, 4, 1);
  capture.Begin(0, 2);
  ReadTwo(capture, 0);
  capture.End();
  capture.Begin(2, 1);
  Observe(capture, 0, 2, {{{0, 2}, {0.5F, 0.5F}, kNan}, {{0}, {1.0F}, 0.8F}});
  capture.End();
  const LayerCapture& layer = *capture.layers()[0];
  const HeadFigures& first = layer.heads[0];
  EXPECT_EQ(first.sums.rows, 3);
  EXPECT_EQ(first.sums.keys_seen, 1 + 2 + 3);
  EXPECT_EQ(first.sums.keys_kept, 1 + 2 + 2);
  EXPECT_EQ(first.sums.mass_rows, 2) << "a mass that is no number does not count";
  EXPECT_FLOAT_EQ(static_cast<float>(first.sums.mass_min), 0.5F);
  EXPECT_EQ(first.kept[0], 3) << "each kept itself";
  EXPECT_FLOAT_EQ(static_cast<float>(first.weight[0]), 1.0F + 0.75F + 0.5F);
  EXPECT_FLOAT_EQ(static_cast<float>(first.weight[1]), 0.25F);
  EXPECT_FLOAT_EQ(static_cast<float>(first.weight[2]), 0.5F) << "two back";
  EXPECT_FLOAT_EQ(static_cast<float>(layer.received[0]), (1 + 1 + 0.25F + 0.5F + 1) / 2);
  EXPECT_EQ(layer.rows.dropped[2], 255) << "token 2 in head 0: nothing is known of it";
}

TEST_F(CaptureTest, TheMeanOfAllIsThatOfTheLayersThatHaveAttention) {
  const int layers[] = {1, 2, 3};
  Capture capture(layers, 4, 1);
  capture.Begin(0, 1);
  for (const int layer : {1, 3}) {
    Observe(capture, layer, 0, {{{0}, {1.0F}}, {{0}, {layer == 1 ? 0.5F : 1.0F}, 0.6F}});
  }
  capture.End();
  EXPECT_EQ(capture.mean().weights[0], PackShare((0.75 + 1) / 2));
  EXPECT_EQ(capture.mean().dropped[0], PackShare(0.2));
  ASSERT_EQ(capture.layers().size(), 2U);
  EXPECT_EQ(capture.layers()[1]->layer, 3);
}

TEST_F(CaptureTest, RefusesACacheThatIsNotInTheOrderOfTheText) {
  const int layers[] = {0};
  Capture capture(layers, 4, 1);
  capture.Begin(0, 1);
  EXPECT_THROW(Observe(capture, 0, 0, {{{2}, {1.0F}}, {{0}, {1.0F}}}), std::runtime_error);
  EXPECT_THROW(ReadTwo(capture, 0), std::runtime_error) << "two queries of one token";
}

TEST_F(CaptureTest, RefusesLayersThatShareTheirKeys) {
  const int layers[] = {0};
  Capture capture(layers, 4, 1);
  capture.Begin(0, 2);
  ReadTwo(capture, 0);
  EXPECT_THROW(ReadTwo(capture, 0), std::runtime_error);
  capture.Begin(0, 2);
  EXPECT_NO_THROW(ReadTwo(capture, 0));
}

TEST(DistanceBinTest, BinsDouble) {
  EXPECT_EQ(DistanceBin(0), 0U);
  EXPECT_EQ(DistanceBin(1), 1U);
  EXPECT_EQ(DistanceBin(3), 2U);
  EXPECT_EQ(DistanceBin(4), 3U);
  EXPECT_EQ(DistanceBin(kMaxTokens - 1), kDistanceBins - 1);
}

}  // namespace
}  // namespace qwen_infer::inspect
