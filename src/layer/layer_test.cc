// The layer against a plain loop over its definition in f64; tolerances are computed by the same loop (bounded.h).
#include "topk/layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "layer/testing/problem.h"
#include "layer/testing/reference.h"

namespace topk {
namespace {

using testing::Bounded;
using testing::ComputeReference;
using testing::Numbers;
using testing::Problem;
using testing::ProblemShape;
using testing::ReferenceInput;
using testing::ReferenceOutput;

constexpr double kInf = std::numeric_limits<double>::infinity();

// Tolerances have to stay below this share of the largest number, or a comparison would show nothing.
constexpr double kLargestTolerance = 0.01;

template <typename Vector>
void ExpectWithin(const Vector& got, const std::vector<Bounded>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double largest = 0;
  for (const Bounded& x : want) largest = std::max(largest, std::abs(x.value));
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_LE(want[i].bound, kLargestTolerance * largest) << what << " at " << i;
    ASSERT_NEAR(got[i], want[i].value, want[i].bound) << what << " at " << i;
  }
}

// The rows of a selection hold the sinks, the window, and the best of the rest, as many as k allows.
void ExpectBestKeys(const Selection& selection, const std::vector<Bounded>& scores, int64_t n_key,
                    const ProblemShape& shape) {
  const auto rows = static_cast<int64_t>(scores.size()) / n_key;
  ASSERT_EQ(selection.row_offsets.size(), static_cast<size_t>(rows) + 1);
  for (int64_t row = 0; row < rows; ++row) {
    const std::string where = "row " + std::to_string(row);
    std::vector<int64_t> visible;
    for (int64_t j = 0; j < n_key; ++j) {
      if (scores[row * n_key + j].value != -kInf) visible.push_back(j);
    }
    const auto n_visible = static_cast<int64_t>(visible.size());
    const int64_t always = shape.layer.sinks + shape.layer.window;
    const auto begin = selection.keys.begin() + selection.row_offsets[row];
    const auto end = selection.keys.begin() + selection.row_offsets[row + 1];
    ASSERT_EQ(end - begin, std::min(n_visible, shape.config.k + always)) << where;
    double worst_kept = kInf;
    double best_left = -kInf;
    for (int64_t i = 0; i < n_visible; ++i) {
      const bool kept = std::binary_search(begin, end, visible[i]);
      if (i < shape.layer.sinks || i >= n_visible - shape.layer.window) {
        ASSERT_TRUE(kept) << where << ", key " << visible[i];
        continue;
      }
      const Bounded& score = scores[row * n_key + visible[i]];
      if (kept) worst_kept = std::min(worst_kept, score.value + score.bound);
      if (!kept) best_left = std::max(best_left, score.value - score.bound);
    }
    ASSERT_GE(worst_kept, best_left) << where;
  }
}

// A small layer of every kind.
std::vector<std::pair<std::string, ProblemShape>> AllKinds() {
  const TopKAttentionShape small = {.embed_dim = 24, .num_heads = 4};
  const auto with = [&](const std::function<void(ProblemShape&)>& change) {
    ProblemShape shape{.layer = small, .config = {.k = 5}, .batch = 2, .n_query = 19};
    change(shape);
    return shape;
  };
  return {
      {"self", with([](auto&) {})},
      {"causal", with([](auto& s) { s.layer.causal = true; })},
      {"temperature", with([](auto& s) { s.config.temperature = 0.7; })},
      {"without bias", with([](auto& s) { s.layer.bias = false; })},
      {"grouped heads", with([](auto& s) { s.layer.num_kv_heads = 2; })},
      {"sinks and window", with([](auto& s) { s.layer.sinks = 2, s.layer.window = 3, s.layer.causal = true; })},
      {"cross", with([](auto& s) { s.n_key = 31, s.layer.kdim = 20, s.layer.vdim = 20; })},
      {"own values", with([](auto& s) { s.n_key = 31, s.layer.kdim = 20, s.layer.vdim = 14, s.value_given = true; })},
      {"padding", with([](auto& s) { s.padding = true; })},
      {"mask", with([](auto& s) { s.mask_heads = 1, s.masked_row = true; })},
      {"mask of heads", with([](auto& s) { s.mask_heads = 4; })},
      {"mask of batch", with([](auto& s) { s.mask_batch = 2, s.mask_heads = 1; })},
      {"both masks",
       with([](auto& s) { s.mask_batch = 2, s.mask_heads = 4, s.padding = true, s.layer.causal = true; })},
      {"all keys kept", with([](auto& s) { s.config.k = 100; })},
      {"one query", with([](auto& s) { s.n_query = 1, s.n_key = 40; })},
      {"several blocks",
       with([](auto& s) { s.batch = 1, s.n_query = 150, s.config.k = 20, s.config.use_sparse = true; })},
  };
}

TEST(LayerTest, ForwardEqualsTheLoopOfItsDefinition) {
  uint64_t seed = 1;
  for (const auto& [name, shape] : AllKinds()) {
    const Problem problem(shape, seed++);
    std::vector<float> output(problem.query.size(), -77.0F);
    Selection selection;
    const Status status = problem.layer->Forward(problem.input, {output, &selection}, OpenMpExecutor(2));
    ASSERT_TRUE(status.ok()) << name << ": " << status.message();
    const auto reference = ComputeReference<Bounded>(problem.ForReference(selection));
    ASSERT_NO_FATAL_FAILURE(ExpectBestKeys(selection, reference.scores, problem.input.n_key, shape)) << name;
    ASSERT_NO_FATAL_FAILURE(ExpectWithin(output, reference.output, name));

    std::vector<float> plain(output.size());
    ASSERT_TRUE(problem.layer->Forward(problem.input, {plain}, SerialExecutor()).ok());
    ASSERT_NO_FATAL_FAILURE(ExpectWithin(plain, reference.output, name + " without selection"));
  }
}

// All gradients of a layer, with room for them.
struct Gradients {
  explicit Gradients(const Problem& problem)
      : query(problem.query.size()), key(problem.key.size()), value(problem.value.size()) {}
  TopKAttentionGradients View() { return {query, key, value, &parameters}; }

  std::vector<float> query, key, value;
  TopKAttentionParameters parameters;
};

// What the reference says of inputs that stood in for others.
std::array<std::vector<Bounded>, 3> GradientsOfGivenInputs(const Problem& problem,
                                                           const ReferenceOutput<Bounded>& reference) {
  auto [query, key, value] = reference.grad_inputs;
  if (problem.value.empty()) key = ReferenceAdd(key, value), value.clear();
  if (problem.key.empty()) query = ReferenceAdd(query, key), key.clear();
  return {query, key, value};
}

void ExpectGradients(const Problem& problem, Gradients& got, const ReferenceOutput<Bounded>& want,
                     const std::string& name) {
  const auto inputs = GradientsOfGivenInputs(problem, want);
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.query, inputs[0], name + ", query"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.key, inputs[1], name + ", key"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.value, inputs[2], name + ", value"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.parameters.q_weight, want.grad_weights[0], name + ", q_weight"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.parameters.k_weight, want.grad_weights[1], name + ", k_weight"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.parameters.v_weight, want.grad_weights[2], name + ", v_weight"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.parameters.out_weight, want.grad_out_weight, name + ", out_weight"));
  if (!problem.shape.layer.bias) {
    EXPECT_TRUE(got.parameters.in_bias.empty() && got.parameters.out_bias.empty());
    return;
  }
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.parameters.in_bias, want.grad_in_bias, name + ", in_bias"));
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.parameters.out_bias, want.grad_out_bias, name + ", out_bias"));
}

TEST(LayerTest, BackwardEqualsTheLoopOfItsDefinition) {
  uint64_t seed = 101;
  for (const auto& [name, shape] : AllKinds()) {
    const Problem problem(shape, seed++);
    std::vector<float> output(problem.query.size());
    TopKAttentionActivations activations;
    ASSERT_TRUE(problem.layer->Forward(problem.input, {output, nullptr, &activations}, OpenMpExecutor(2)).ok());
    const auto reference = ComputeReference<Bounded>(problem.ForReference(activations.selection));
    ASSERT_NO_FATAL_FAILURE(ExpectWithin(output, reference.output, name));
    Gradients got(problem);
    const Status status =
        problem.layer->Backward(problem.input, activations, problem.grad_output, got.View(), OpenMpExecutor(2));
    ASSERT_TRUE(status.ok()) << name << ": " << status.message();
    ASSERT_NO_FATAL_FAILURE(ExpectGradients(problem, got, reference, name));
  }
}

// The loss whose gradients Backward computes, of the reference in f64.
double Loss(const ReferenceInput& in) {
  const auto output = ComputeReference<double>(in).output;
  double loss = 0;
  for (size_t i = 0; i < output.size(); ++i) loss += in.grad_output[i] * output[i];
  return loss;
}

// Central differences in f64: the error of truncation is h^2 times a third derivative (about 1 to 100 here), that of
// rounding 2^-53 times the loss (about 10) over h. Both stay below 1e-7 with this step.
constexpr double kStep = 1e-5;
constexpr double kDifferenceError = 1e-7;

void ExpectDerivatives(const ReferenceInput& in, Numbers& numbers, const std::vector<double>& gradient,
                       const std::string& what) {
  ASSERT_EQ(numbers.size(), gradient.size()) << what;
  for (size_t i = 0; i < numbers.size(); i += 7) {  // a sample; prime, so it falls on all columns
    const double before = numbers[i];
    numbers[i] = before + kStep;
    const double above = Loss(in);
    numbers[i] = before - kStep;
    const double below = Loss(in);
    numbers[i] = before;
    ASSERT_NEAR(gradient[i], (above - below) / (2 * kStep), kDifferenceError) << what << " at " << i;
  }
}

TEST(LayerTest, GradientsOfTheLoopAreItsDerivatives) {
  ProblemShape shape{.layer = {.embed_dim = 12, .num_heads = 4, .num_kv_heads = 2, .kdim = 10, .vdim = 8},
                     .config = {.k = 3, .temperature = 0.8},
                     .batch = 2,
                     .n_query = 5,
                     .n_key = 9,
                     .value_given = true};
  const Problem problem(shape, 7);
  std::vector<float> output(problem.query.size());
  Selection selection;
  ASSERT_TRUE(problem.layer->Forward(problem.input, {output, &selection}, SerialExecutor()).ok());
  ReferenceInput in = problem.ForReference(selection);
  for (size_t i = 0; i < in.dropout.size(); ++i) in.dropout[i] = i % 3 == 0 ? 0.0 : 1.5;
  const auto reference = ComputeReference<double>(in);
  for (int p = 0; p < 3; ++p) {
    const std::string which(1, "qkv"[p]);
    ASSERT_NO_FATAL_FAILURE(ExpectDerivatives(in, in.inputs[p], reference.grad_inputs[p], which + " input"));
    ASSERT_NO_FATAL_FAILURE(ExpectDerivatives(in, in.weights[p], reference.grad_weights[p], which + " weight"));
  }
  ASSERT_NO_FATAL_FAILURE(ExpectDerivatives(in, in.in_bias, reference.grad_in_bias, "in_bias"));
  ASSERT_NO_FATAL_FAILURE(ExpectDerivatives(in, in.out_weight, reference.grad_out_weight, "out_weight"));
  ASSERT_NO_FATAL_FAILURE(ExpectDerivatives(in, in.out_bias, reference.grad_out_bias, "out_bias"));
}

// The factor of each entry: 0, or 1 / (1 - p) in f32, which is off by a unit in the last place at most.
Numbers DropoutFactors(const Problem& problem, const TopKAttentionActivations& activations, int64_t& dropped) {
  AttentionInput attention;
  attention.n_batch = problem.input.batch;
  attention.n_query = problem.input.n_query;
  attention.n_key = problem.input.n_key;
  attention.n_head = problem.shape.layer.num_heads;
  attention.dropout_p = static_cast<float>(problem.shape.layer.dropout);
  attention.dropout_seed = activations.dropout_seed.value_or(0);
  std::vector<float> weights(activations.selection.keys.size());
  ApplyDropout(attention, activations.selection.View(), weights.data());
  Numbers factors;
  for (const float weight : weights) {
    dropped += weight == 0.0F ? 1 : 0;
    factors.push_back(weight == 0.0F ? 0.0 : 1 / (1 - problem.shape.layer.dropout));
  }
  return factors;
}

TEST(LayerTest, DropoutIsReplayedByItsSeed) {
  const ProblemShape shape{
      .layer = {.embed_dim = 24, .num_heads = 4, .dropout = 0.25}, .config = {.k = 8}, .batch = 2, .n_query = 30};
  const Problem problem(shape, 11);
  const auto forward = [&](std::optional<uint64_t> seed, TopKAttentionActivations& activations) {
    std::vector<float> output(problem.query.size());
    EXPECT_TRUE(problem.layer->Forward(problem.input, {output, nullptr, &activations, seed}, OpenMpExecutor(2)).ok());
    return output;
  };
  TopKAttentionActivations activations;
  const std::vector<float> with_seed_4 = forward(4, activations);
  EXPECT_EQ(forward(4, activations), with_seed_4);
  EXPECT_NE(forward(5, activations), with_seed_4);
  EXPECT_NE(forward({}, activations), with_seed_4);

  forward(4, activations);
  ReferenceInput in = problem.ForReference(activations.selection);
  int64_t dropped = 0;
  in.dropout = DropoutFactors(problem, activations, dropped);
  // 1920 entries: 480 +- 19 are dropped; five deviations.
  EXPECT_NEAR(static_cast<double>(dropped), 0.25 * static_cast<double>(in.dropout.size()), 95);
  const auto reference = ComputeReference<Bounded>(in);
  ASSERT_NO_FATAL_FAILURE(ExpectWithin(with_seed_4, reference.output, "output"));
  Gradients got(problem);
  ASSERT_TRUE(
      problem.layer->Backward(problem.input, activations, problem.grad_output, got.View(), OpenMpExecutor(2)).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectGradients(problem, got, reference, "dropout"));
}

TEST(LayerTest, ResultsDoNotDependOnTheNumberOfThreads) {
  const ProblemShape shape{
      .layer = {.embed_dim = 64, .num_heads = 4, .causal = true}, .config = {.k = 16}, .batch = 2, .n_query = 300};
  const Problem problem(shape, 3);
  std::vector<float> serial(problem.query.size());
  std::vector<float> parallel(problem.query.size());
  TopKAttentionActivations activations;
  TopKAttentionActivations other;
  ASSERT_TRUE(problem.layer->Forward(problem.input, {serial, nullptr, &activations}, SerialExecutor()).ok());
  ASSERT_TRUE(problem.layer->Forward(problem.input, {parallel, nullptr, &other}, OpenMpExecutor(3)).ok());
  EXPECT_EQ(serial, parallel);
  Gradients a(problem);
  Gradients b(problem);
  ASSERT_TRUE(
      problem.layer->Backward(problem.input, activations, problem.grad_output, a.View(), SerialExecutor()).ok());
  ASSERT_TRUE(problem.layer->Backward(problem.input, other, problem.grad_output, b.View(), OpenMpExecutor(3)).ok());
  EXPECT_EQ(a.query, b.query);
  EXPECT_EQ(a.parameters.k_weight, b.parameters.k_weight);
  EXPECT_EQ(a.parameters.in_bias, b.parameters.in_bias);
}

TEST(LayerTest, MayBeUsedFromManyThreadsAtOnce) {
  const Problem problem({.layer = {.embed_dim = 16, .num_heads = 2}, .config = {.k = 4}, .n_query = 20}, 5);
  std::vector<std::vector<float>> outputs(4, std::vector<float>(problem.query.size()));
  std::vector<std::thread> threads;
  threads.reserve(outputs.size());
  for (std::vector<float>& output : outputs) {
    threads.emplace_back([&] { EXPECT_TRUE(problem.layer->Forward(problem.input, {output}, SerialExecutor()).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& output : outputs) EXPECT_EQ(output, outputs[0]);
  EXPECT_EQ(problem.layer->GetMemoryStats().calls, 4);
}

TEST(LayerTest, MemoryStatsEqualAHandCount) {
  ProblemShape shape{.layer = {.embed_dim = 8, .num_heads = 2, .causal = true, .exact_mass = true},
                     .config = {.k = 4},
                     .batch = 3,
                     .n_query = 10};
  const Problem problem(shape, 1);
  std::vector<float> output(problem.query.size());
  ASSERT_TRUE(problem.layer->Forward(problem.input, {output}, SerialExecutor()).ok());
  ASSERT_TRUE(problem.layer->Forward(problem.input, {output}, SerialExecutor()).ok());
  TopKAttentionMemoryStats stats = problem.layer->GetMemoryStats();
  // Query i sees i + 1 keys and keeps 4: 1 + 2 + ... + 6 are saved per head; 2 heads, 3 sequences.
  EXPECT_EQ(stats.total_memory_saved, 2 * 21 * 2 * 3);
  EXPECT_EQ(stats.avg_memory_saved_per_call, 21 * 2 * 3);
  EXPECT_EQ(stats.calls, 2);
  EXPECT_EQ(stats.fallback_calls, 0);
  EXPECT_EQ(stats.mass_rows, 2 * 10 * 2 * 3);
  EXPECT_GT(stats.min_mass, 0.0);
  EXPECT_LT(stats.min_mass, stats.mean_mass);
  EXPECT_LT(stats.mean_mass, 1.0);
  // Four projected tensors [3, 10, 8] in f32, and the kernel's scratch.
  EXPECT_GT(stats.peak_scratch_bytes, 4 * 3 * 10 * 8 * 4);
  problem.layer->ResetMemoryStats();
  stats = problem.layer->GetMemoryStats();
  EXPECT_EQ(stats.calls, 0);
  EXPECT_EQ(stats.total_memory_saved, 0);
  EXPECT_EQ(stats.avg_memory_saved_per_call, 0.0);
  EXPECT_EQ(stats.peak_scratch_bytes, 0);

  shape.config.k = 10;
  const Problem full(shape, 1);
  ASSERT_TRUE(full.layer->Forward(full.input, {output}, SerialExecutor()).ok());
  EXPECT_EQ(full.layer->GetMemoryStats().fallback_calls, 1);
  EXPECT_EQ(full.layer->GetMemoryStats().total_memory_saved, 0);

  shape.config.k = TopKAttentionConfig::kAuto;  // 128 for so few keys
  const Problem automatic(shape, 1);
  ASSERT_TRUE(automatic.layer->Forward(automatic.input, {output}, SerialExecutor()).ok());
  EXPECT_EQ(automatic.layer->GetMemoryStats().fallback_calls, 1);

  shape.config = {.k = 4, .enable_memory_tracking = false};
  const Problem untracked(shape, 1);
  ASSERT_TRUE(untracked.layer->Forward(untracked.input, {output}, SerialExecutor()).ok());
  EXPECT_EQ(untracked.layer->GetMemoryStats().calls, 0);
}

TEST(LayerTest, MinMassLetsBudgetsGrow) {
  ProblemShape shape{.layer = {.embed_dim = 16, .num_heads = 2, .min_mass = 0.9, .exact_mass = true},
                     .config = {.k = 2},
                     .n_query = 40};
  const Problem problem(shape, 2);
  std::vector<float> output(problem.query.size());
  Selection selection;
  ASSERT_TRUE(problem.layer->Forward(problem.input, {output, &selection}, SerialExecutor()).ok());
  EXPECT_GE(problem.layer->GetMemoryStats().min_mass, 0.9 - 1e-5);  // a sum of 40 exponentials in f32
  EXPECT_GT(selection.keys.size(), 2U * 40 * 2);
  EXPECT_LT(selection.keys.size(), 40U * 40 * 2);
}

TEST(LayerTest, EmptyInputsGiveEmptyOrBiasedOutputs) {
  const Problem problem({.layer = {.embed_dim = 8, .num_heads = 2}, .config = {}, .n_query = 3}, 1);
  EXPECT_TRUE(problem.layer->Forward({.batch = 0, .n_query = 3}, {}, SerialExecutor()).ok());
  EXPECT_TRUE(problem.layer->Forward({.batch = 2, .n_query = 0}, {}, SerialExecutor()).ok());
  // No key is left: attention gives zeros, so the output is the last bias.
  const std::vector<uint8_t> all(3, 1);
  TopKAttentionInput input = problem.input;
  input.key_padding_mask = all;
  std::vector<float> output(problem.query.size());
  ASSERT_TRUE(problem.layer->Forward(input, {output}, SerialExecutor()).ok());
  for (size_t i = 0; i < output.size(); ++i) ASSERT_EQ(output[i], problem.layer->parameters().out_bias[i % 8]);
}

TEST(LayerTest, WithoutFallbackABudgetAboveTheNumberOfKeysIsAnError) {
  ProblemShape shape{
      .layer = {.embed_dim = 8, .num_heads = 2}, .config = {.k = 4, .fallback_full_attention = false}, .n_query = 3};
  const Problem problem(shape, 1);
  std::vector<float> output(problem.query.size(), -77.0F);
  const Status status = problem.layer->Forward(problem.input, {output}, SerialExecutor());
  EXPECT_EQ(status.code(), StatusCode::kBudgetCoversAllKeys);
  EXPECT_NE(status.message().find("k=4 is more than the 3 keys"), std::string::npos) << status.message();
  for (const float x : output) ASSERT_EQ(x, -77.0F);
  shape.config.k = 3;
  const Problem fits(shape, 1);
  EXPECT_TRUE(fits.layer->Forward(fits.input, {output}, SerialExecutor()).ok());
}

void ExpectRefused(const Status& status, const std::string& part) {
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
  EXPECT_NE(status.message().find(part), std::string::npos) << "'" << part << "' is not in: " << status.message();
}

TEST(LayerTest, RefusesInputsThatDoNotFit) {
  const Problem problem({.layer = {.embed_dim = 8, .num_heads = 2}, .config = {.k = 2}, .batch = 2, .n_query = 3}, 1);
  std::vector<float> output(problem.query.size(), -77.0F);
  const std::vector<float> some(24);
  const std::vector<uint8_t> bytes(5);
  using In = TopKAttentionInput;
  const auto expect_refused = [&](const std::string& part, const std::function<void(In&)>& change) {
    In input = problem.input;
    change(input);
    ExpectRefused(problem.layer->Forward(input, {output}, SerialExecutor()), part);
  };
  expect_refused("batch=-1", [](In& i) { i.batch = -1; });
  expect_refused("n_query=-3", [](In& i) { i.n_query = -3; });
  expect_refused("n_query=9223372036854775807", [](In& i) { i.n_query = std::numeric_limits<int64_t>::max(); });
  expect_refused("query has 48 numbers; it must be [batch, n_query, embed_dim] = [2, 4, 8]",
                 [](In& i) { i.n_query = 4; });
  expect_refused("[2147482623, 2147482623, 8]", [](In& i) { i.batch = i.n_query = kMaxKeys; });
  expect_refused("key has 24 numbers", [&](In& i) { i.key = some; });
  expect_refused("value is given", [&](In& i) { i.value = some; });
  expect_refused("key_padding_mask has 5 numbers; it must be [batch, n_key] = [2, 3]",
                 [&](In& i) { i.key_padding_mask = bytes; });
  expect_refused("attn_mask has 24 numbers", [&](In& i) { i.attn_mask = some; });
  expect_refused("mask_batch=3 is not allowed: mask_batch is 1 or batch=2",
                 [&](In& i) { i.attn_mask = some, i.mask_batch = 3; });
  expect_refused("mask_heads=0 is not allowed: mask_heads is 1 or num_heads=2",
                 [&](In& i) { i.attn_mask = some, i.mask_heads = 0; });
  for (const float x : output) ASSERT_EQ(x, -77.0F);
  ExpectRefused(problem.layer->Forward(problem.input, {}, SerialExecutor()), "output has 0 numbers");
  ExpectRefused(problem.layer->Forward(problem.input, {output}, {}), "executor");
  problem.layer->parameters().k_weight.pop_back();
  ExpectRefused(problem.layer->Forward(problem.input, {output}, SerialExecutor()), "k_proj_weight has 63 numbers");

  const Problem cross({.layer = {.embed_dim = 8, .num_heads = 2, .kdim = 6, .vdim = 4}, .config = {}, .n_query = 3}, 1);
  ExpectRefused(cross.layer->Forward({.n_query = 3, .query = std::span(some)}, {output}, SerialExecutor()),
                "key is empty, and query cannot stand in for it");
}

TEST(LayerTest, RefusesActivationsAndGradientsThatDoNotFit) {
  const Problem problem({.layer = {.embed_dim = 8, .num_heads = 2}, .config = {.k = 2}, .n_query = 3}, 1);
  std::vector<float> output(problem.query.size());
  TopKAttentionActivations good;
  ASSERT_TRUE(problem.layer->Forward(problem.input, {output, nullptr, &good}, SerialExecutor()).ok());
  std::vector<float> short_one(5, -77.0F);
  const auto backward = [&](const TopKAttentionActivations& activations, std::span<const float> grad_output,
                            const TopKAttentionGradients& gradients) {
    return problem.layer->Backward(problem.input, activations, grad_output, gradients, SerialExecutor());
  };
  ExpectRefused(backward(good, short_one, {}), "grad_output has 5 numbers");
  ExpectRefused(backward({}, problem.grad_output, {}), "activations.q has 0 numbers");
  ExpectRefused(backward(good, problem.grad_output, {.query = short_one}), "gradients.query has 5 numbers");
  ExpectRefused(backward(good, problem.grad_output, {.key = output}), "gradients.key is given");
  ExpectRefused(backward(good, problem.grad_output, {.value = output}), "gradients.value is given");
  TopKAttentionActivations bad = good;
  bad.selection.keys[0] = 1000;
  std::vector<float> gradient(output.size(), -77.0F);
  EXPECT_EQ(backward(bad, problem.grad_output, {.query = gradient}).code(), StatusCode::kInvalidArgument);
  bad.selection = {};
  EXPECT_EQ(backward(bad, problem.grad_output, {.query = gradient}).code(), StatusCode::kInvalidArgument);
  for (const float x : gradient) ASSERT_EQ(x, -77.0F);
  EXPECT_TRUE(backward(good, problem.grad_output, {.query = gradient}).ok());
}

TEST(LayerTest, RefusesLayersThatCannotBe) {
  std::unique_ptr<TopKAttention> layer;
  ExpectRefused(TopKAttention::Create({.embed_dim = 10, .num_heads = 3}, {}, layer), "embed_dim=10");
  ExpectRefused(TopKAttention::Create({.embed_dim = 8, .num_heads = 2}, {.k = 0}, layer), "k=0");
  EXPECT_EQ(layer, nullptr);
}

}  // namespace
}  // namespace topk
