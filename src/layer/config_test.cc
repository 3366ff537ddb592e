// Configuration and shape: ranges, JSON there and back, mistakes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "topk/layer.h"

namespace topk {
namespace {

void ExpectRefused(const Status& status, const std::string& part) {
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
  EXPECT_NE(status.message().find(part), std::string::npos) << "'" << part << "' is not in: " << status.message();
}

TEST(TopKAttentionConfigTest, HasTheDefaultsOfThePythonClass) {
  EXPECT_EQ(TopKAttentionConfig().ToJson(),
            R"({"k":32,"temperature":1.0,"use_sparse":false,"fallback_full_attention":true,)"
            R"("enable_memory_tracking":true})");
  EXPECT_TRUE(TopKAttentionConfig().Validate().ok());
}

TEST(TopKAttentionConfigTest, IsReadBackFromItsJson) {
  const TopKAttentionConfig config = {.k = 64,
                                      .temperature = 0.8,
                                      .use_sparse = true,
                                      .fallback_full_attention = false,
                                      .enable_memory_tracking = false};
  TopKAttentionConfig read;
  ASSERT_TRUE(TopKAttentionConfig::FromJson(config.ToJson(), read).ok());
  EXPECT_EQ(read, config);
  EXPECT_NE(config.ToJson().find("\"temperature\":0.8,"), std::string::npos) << config.ToJson();
  ASSERT_TRUE(TopKAttentionConfig::FromJson(R"({"k": 7, "temperature": 2})", read).ok());
  EXPECT_EQ(read, (TopKAttentionConfig{.k = 7, .temperature = 2}));
}

TEST(TopKAttentionConfigTest, AutomaticBudgetsFollowTheNumberOfKeys) {
  TopKAttentionConfig config;
  ASSERT_TRUE(TopKAttentionConfig::FromJson(R"({"k": "auto"})", config).ok());
  EXPECT_EQ(config.k, TopKAttentionConfig::kAuto);
  EXPECT_TRUE(config.Validate().ok());
  EXPECT_NE(config.ToJson().find(R"("k":"auto")"), std::string::npos) << config.ToJson();
  EXPECT_EQ(config.BudgetFor(1), 128);
  EXPECT_EQ(config.BudgetFor(2048), 256);
  EXPECT_EQ(config.BudgetFor(100'000), 512);
  EXPECT_EQ(TopKAttentionConfig{.k = 7}.BudgetFor(100'000), 7);
}

TEST(TopKAttentionConfigTest, RefusesMistakesAndStaysAsItWas) {
  TopKAttentionConfig config{.k = 9};
  const auto expect_refused = [&](const char* json, const std::string& part) {
    ExpectRefused(TopKAttentionConfig::FromJson(json, config), part);
  };
  expect_refused(R"({"k": 0})", "k=0 is not allowed: k is an integer from 1 to 1073741824, or \"auto\"");
  expect_refused(R"({"k": -4})", "k=-4");
  expect_refused(R"({"k": 32.0})", "k=32.0");
  expect_refused(R"({"k": true})", "k=true");
  expect_refused(R"({"k": -1})", "k=-1");  // though it is what kAuto is inside
  expect_refused(R"({"k": "Auto"})", "k=\"Auto\"");
  expect_refused(R"({"temperature": "auto"})", "temperature=\"auto\"");
  expect_refused(R"({"k": 18446744073709551615})", "k=18446744073709551615");
  expect_refused(R"({"k": 1073741825})", "k=1073741825");
  expect_refused(R"({"temperature": 0})", "temperature=0 is not allowed: temperature is a number from 0.001 to 1000");
  expect_refused(R"({"temperature": 1e300})", "temperature=1e+300");
  expect_refused(R"({"temperature": null})", "temperature=null");
  expect_refused(R"({"use_sparse": 1})", "use_sparse=1 is not allowed: use_sparse is true or false");
  expect_refused(R"({"K": 3})", "no field 'K'; the fields are k, temperature, use_sparse");
  expect_refused("[32]", "a JSON object is needed");
  expect_refused("{k: 32}", "not valid JSON");
  expect_refused(R"({"k": 1, "k": 2})", "'k' stands twice");
  EXPECT_EQ(config, TopKAttentionConfig{.k = 9});

  config.temperature = std::nan("");
  ExpectRefused(config.Validate(), "temperature=nan");
  config.temperature = std::numeric_limits<double>::infinity();
  ExpectRefused(config.Validate(), "temperature=inf");
}

TEST(TopKAttentionShapeTest, FillsInWhatIsLeftOut) {
  const TopKAttentionShape shape = {.embed_dim = 48, .num_heads = 6};
  EXPECT_TRUE(shape.Validate().ok());
  EXPECT_EQ(shape.HeadDim(), 8);
  EXPECT_EQ(shape.KvDim(), 48);
  EXPECT_EQ(shape.KeyDim(), 48);
  EXPECT_EQ(shape.ValueDim(), 48);
  EXPECT_EQ((TopKAttentionShape{.embed_dim = 48, .num_heads = 6, .num_kv_heads = 2}).KvDim(), 16);
}

TEST(TopKAttentionShapeTest, IsReadBackFromItsJson) {
  const TopKAttentionShape shape = {.embed_dim = 48,
                                    .num_heads = 6,
                                    .num_kv_heads = 2,
                                    .kdim = 5,
                                    .vdim = 7,
                                    .bias = false,
                                    .dropout = 0.1,
                                    .causal = true,
                                    .sinks = 4,
                                    .window = 64,
                                    .min_mass = 0.9,
                                    .exact_mass = true};
  TopKAttentionShape read;
  ASSERT_TRUE(TopKAttentionShape::FromJson(shape.ToJson(), read).ok());
  EXPECT_EQ(read, shape);
}

TEST(TopKAttentionShapeTest, RefusesMistakes) {
  const auto expect_refused = [](const std::string& part, const TopKAttentionShape& shape) {
    ExpectRefused(shape.Validate(), part);
  };
  expect_refused("embed_dim=0", {});
  expect_refused("embed_dim=-8", {.embed_dim = -8});
  expect_refused("num_heads=0", {.embed_dim = 8, .num_heads = 0});
  expect_refused("embed_dim=8 is not a multiple of num_heads=3", {.embed_dim = 8, .num_heads = 3});
  expect_refused("heads of " + std::to_string(kMaxHeadSize + 1) + " features; at most " + std::to_string(kMaxHeadSize),
                 {.embed_dim = kMaxHeadSize + 1, .num_heads = 1});
  expect_refused("num_kv_heads=3 does not divide num_heads=4", {.embed_dim = 8, .num_heads = 4, .num_kv_heads = 3});
  expect_refused("num_kv_heads=8 does not divide num_heads=4", {.embed_dim = 8, .num_heads = 4, .num_kv_heads = 8});
  expect_refused("kdim=-1", {.embed_dim = 8, .kdim = -1});
  expect_refused("dropout=1", {.embed_dim = 8, .dropout = 1});
  expect_refused("dropout=nan", {.embed_dim = 8, .dropout = std::nan("")});
  expect_refused("sinks=-1", {.embed_dim = 8, .sinks = -1});
  expect_refused("min_mass=1.5", {.embed_dim = 8, .min_mass = 1.5});
  TopKAttentionShape shape;
  ExpectRefused(TopKAttentionShape::FromJson(R"({"num_heads": 8})", shape), "embed_dim=0");
}

}  // namespace
}  // namespace topk
