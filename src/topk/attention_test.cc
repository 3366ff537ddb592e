// Attention against ReferenceAttention: the same selected set, bit for bit, and outputs to f32 rounding, on every SIMD
// target of this machine and for several thread counts.
#include "topk/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "topk/amx.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectEqualsReference;
using testing::kInf;
using testing::kNan;
using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

class AttentionTest : public testing::TargetTest {};

TEST_F(AttentionTest, HasATargetAndRefusesUnknownOnes) {
  EXPECT_FALSE(SimdTargets().empty());
  EXPECT_FALSE(UseSimdTarget("no such target"));
}

// A build may leave out what kernels for AMX are compiled for.
TEST_F(AttentionTest, UsesAmxIfAndOnlyIfItIsATarget) {
  ASSERT_TRUE(UseSimdTarget(nullptr));
  EXPECT_EQ(UsesAmx(), std::string_view(SimdTargets().front()) == "AMX");
}

TEST_F(AttentionTest, EqualsReferenceForAllTypesOfKeysAndValues) {
  constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0};
  uint32_t seed = 1;
  for (DataType k_type : kTypes) {
    for (DataType v_type : kTypes) {
      for (int64_t padding : {0, 2}) {
        Shape shape{
            .n_query = 5, .n_key = 333, .d_k = 32, .d_v = 64, .k_type = k_type, .v_type = v_type, .padding = padding};
        const RandomProblem problem(shape, seed++);
        ExpectEqualsReference(problem.input, {.k = 17, .mass = MassMode::kExact}, shape.Name());
      }
    }
  }
}

TEST_F(AttentionTest, EqualsReferenceForOddShapes) {
  uint32_t seed = 100;
  for (int64_t d_k : {1, 3, 16, 65, 576, 1024}) {
    for (int64_t d_v : {1, 17, 80, 512, 1024}) {
      for (int64_t n_key : {1, 63, 64, 65, 129}) {
        Shape shape{.n_query = 2, .n_key = n_key, .n_head = 3, .n_head_kv = 1, .d_k = d_k, .d_v = d_v};
        const RandomProblem problem(shape, seed++);
        ExpectEqualsReference(problem.input, {.k = 10}, shape.Name());
      }
    }
  }
}

TEST_F(AttentionTest, EqualsReferenceForEveryBudget) {
  Shape shape{.n_query = 4, .n_key = 700, .d_k = 16, .d_v = 8, .mask = Shape::Mask::kCausal};
  const RandomProblem problem(shape, 7);
  for (int64_t k : {1, 2, 31, 255, 256, 257, 695, 699, 700, 701, 100000}) {
    for (bool sparse : {false, true}) {
      ExpectEqualsReference(problem.input, {.k = k, .sparse = sparse}, shape.Name() + " k " + std::to_string(k));
    }
  }
}

TEST_F(AttentionTest, EqualsReferenceWithMasksBiasesAndForcedKeys) {
  uint32_t seed = 1000;
  using Mask = Shape::Mask;
  for (Mask mask : {Mask::kNone, Mask::kCausal, Mask::kRandom, Mask::kAlibi, Mask::kAllHidden, Mask::kSparse}) {
    for (DataType mask_type : {DataType::kF16, DataType::kF32}) {
      for (float softcap : {0.0F, 5.0F}) {
        for (int64_t sinks : {0, 4}) {
          for (int64_t window : {0, 70}) {
            Shape shape{.n_batch = 2,
                        .n_query = 7,
                        .n_key = 300,
                        .n_head = 6,
                        .n_head_kv = 3,
                        .d_k = 20,
                        .d_v = 20,
                        .mask = mask,
                        .mask_type = mask_type,
                        .softcap = softcap,
                        .sink_logits = sinks > 0};
            const RandomProblem problem(shape, seed++);
            const TopKOptions options{
                .k = 21, .temperature = 0.7F, .sinks = sinks, .window = window, .mass = MassMode::kExact};
            ExpectEqualsReference(problem.input, options, shape.Name());
          }
        }
      }
    }
  }
}

TEST_F(AttentionTest, EqualsReferenceWithManyRowsPerTileAndMixedDenseRows) {
  Shape shape{
      .n_query = 150, .n_key = 220, .n_head = 7, .n_head_kv = 1, .d_k = 8, .d_v = 8, .mask = Shape::Mask::kCausal};
  const RandomProblem problem(shape, 11);
  ExpectEqualsReference(problem.input, {.k = 9, .crossover = 120, .mass = MassMode::kSampled}, shape.Name());
  ExpectEqualsReference(problem.input, {.k = 100, .mass = MassMode::kSampled}, shape.Name());
}

TEST_F(AttentionTest, EqualsReferenceWhereKeysAreTooManyForWholeRows) {
  Shape shape{
      .n_query = 97, .n_key = 4200, .n_head = 2, .n_head_kv = 1, .d_k = 8, .d_v = 8, .mask = Shape::Mask::kCausal};
  const RandomProblem problem(shape, 12);
  ExpectEqualsReference(problem.input, {.k = 30, .scan = ScanMode::kF32}, shape.Name());
}

TEST_F(AttentionTest, EqualsReferenceWhenKeysAreSplitAmongTasks) {
  for (int64_t n_query : {1, 5}) {
    Shape shape{.n_query = n_query,
                .n_key = 9001,
                .n_head = 7,
                .n_head_kv = 1,
                .d_k = 64,
                .d_v = 64,
                .k_type = DataType::kF16,
                .v_type = DataType::kF16,
                .mask = Shape::Mask::kCausal};
    const RandomProblem problem(shape, 13);
    ExpectEqualsReference(problem.input, {.k = 256, .mass = MassMode::kExact}, shape.Name());
    ExpectEqualsReference(problem.input, {.k = 64, .sinks = 4, .window = 64}, shape.Name() + " forced");
    ExpectEqualsReference(problem.input, {.k = 100000}, shape.Name() + " dense");
    ExpectEqualsReference(problem.input, {.k = 100000, .sparse = true}, shape.Name() + " all kept");
    ExpectEqualsReference(problem.input, {.k = 256, .crossover = 10000}, shape.Name() + " crossover");
    ExpectEqualsReference(problem.input, {.k = 20, .min_mass = 0.3F, .max_k = 200}, shape.Name() + " mass");
  }
}

TEST_F(AttentionTest, EqualsReferenceWithReluAndDropout) {
  for (int64_t n_query : {1, 40}) {
    for (const auto& [activation, dropout] :
         {std::pair(Activation::kRelu, 0.0F), {Activation::kRelu, 0.4F}, {Activation::kSoftmax, 0.4F}}) {
      Shape shape{.n_query = n_query, .n_key = 2500, .d_k = 16, .d_v = 16, .mask = Shape::Mask::kCausal};
      RandomProblem problem(shape, 19);
      problem.input.activation = activation;
      problem.input.dropout_p = dropout;
      const std::string what =
          shape.Name() + (activation == Activation::kRelu ? " relu" : "") + (dropout > 0 ? " dropout" : "");
      ExpectEqualsReference(problem.input, {.k = 50}, what);
      // Rows that would run dense otherwise.
      ExpectEqualsReference(problem.input, {.k = 50, .crossover = 10000}, what + " crossover");
      ExpectEqualsReference(problem.input, {.k = 5000}, what + " all kept");
      if (activation == Activation::kSoftmax) {
        ExpectEqualsReference(problem.input, {.k = 5, .min_mass = 0.9F, .max_k = 20}, what + " mass");
      }
    }
  }
}

// The mean over seeds is the output without dropout; the weights that are reported are those before it.
TEST_F(AttentionTest, DropoutIsUnbiasedAndReplayed) {
  RandomProblem problem({.n_query = 1, .n_key = 30, .n_head = 1, .n_head_kv = 1, .d_v = 4}, 23);
  OutputTensor plain(problem.input);
  Selection plain_selection;
  ASSERT_TRUE(Attention(problem.input, {.k = 10}, {plain.view(), &plain_selection}, SerialExecutor()).ok());
  problem.input.dropout_p = 0.25F;
  constexpr int kSeeds = 4000;
  std::vector<double> mean(4, 0.0);
  for (int seed = 0; seed < kSeeds; ++seed) {
    problem.input.dropout_seed = static_cast<uint64_t>(seed);
    OutputTensor out(problem.input);
    Selection selection;
    ASSERT_TRUE(Attention(problem.input, {.k = 10}, {out.view(), &selection}, SerialExecutor()).ok());
    ASSERT_EQ(selection.keys, plain_selection.keys);
    ASSERT_EQ(selection.weights, plain_selection.weights);
    std::vector<float> weights(selection.keys.size());
    ApplyDropout(problem.input, selection.View(), weights.data());
    for (int64_t i = 0; i < 4; ++i) {
      double sum = 0;
      for (size_t j = 0; j < weights.size(); ++j) {
        const auto* value = reinterpret_cast<const float*>(problem.input.v.Row(0, selection.keys[j], 0));
        sum += static_cast<double>(weights[j]) * static_cast<double>(value[i]);
      }
      ASSERT_NEAR(out.numbers[i], sum, 1e-5);  // ten products of f32, each below 4
      mean[i] += static_cast<double>(out.numbers[i]) / kSeeds;
    }
  }
  for (int64_t i = 0; i < 4; ++i) {
    // Variance of one term: w^2 v^2 p / (1 - p). Five standard deviations of the mean.
    double variance = 0;
    for (size_t j = 0; j < plain_selection.keys.size(); ++j) {
      const auto* value = reinterpret_cast<const float*>(problem.input.v.Row(0, plain_selection.keys[j], 0));
      variance += std::pow(static_cast<double>(plain_selection.weights[j] * value[i]), 2) * 0.25 / 0.75;
    }
    EXPECT_NEAR(mean[i], plain.numbers[i], 5 * std::sqrt(variance / kSeeds));
  }
}

TEST_F(AttentionTest, GrowsTheBudgetToTheMassAskedFor) {
  Shape shape{.n_query = 20, .n_key = 400, .d_k = 16, .d_v = 16, .mask = Shape::Mask::kCausal};
  RandomProblem problem(shape, 17);
  for (float min_mass : {0.5F, 0.9F}) {
    for (int64_t max_k : {30, 390}) {
      for (bool dense : {false, true}) {
        const TopKOptions options{
            .k = 10, .sinks = 2, .min_mass = min_mass, .max_k = max_k, .dense_beyond_max_k = dense};
        ExpectEqualsReference(problem.input, options, shape.Name());
        OutputTensor out(problem.input);
        Statistics statistics;
        ASSERT_TRUE(Attention(problem.input, options, {out.view(), nullptr, &statistics}, SerialExecutor()).ok());
        if (dense || max_k == 390) {
          EXPECT_GE(statistics.mass_min, min_mass - 1e-5);
        }
      }
    }
  }
}

// Ties, in number and in order: the lowest keys win.
TEST_F(AttentionTest, EqualScoresGoToTheLowestKeys) {
  Shape shape{.n_query = 3, .n_key = 5000, .n_head = 2, .n_head_kv = 1, .d_k = 8, .d_v = 4};
  RandomProblem problem(shape, 19);
  for (int64_t j = 0; j < shape.n_key; ++j) {
    for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, j, 0, i, 0.5F);  // constant keys
  }
  ExpectEqualsReference(problem.input, {.k = 64}, "constant keys");
  for (int64_t j = 0; j < shape.n_key; ++j) {
    for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, j, 0, i, static_cast<float>(j % 7));
  }
  ExpectEqualsReference(problem.input, {.k = 64}, "few distinct keys");
  for (int64_t j = 0; j < shape.n_key; ++j) {
    for (int64_t i = 0; i < shape.d_k; ++i) problem.k.Set(0, j, 0, i, 0.0F);
  }
  ExpectEqualsReference(problem.input, {.k = 64}, "zero keys");
}

// Keys that differ in the last bit only: f32 sums cannot tell them apart, the canonical score can.
TEST_F(AttentionTest, NearTiesAreDecidedByTheCanonicalScore) {
  Shape shape{.n_query = 4, .n_key = 3000, .n_head = 2, .n_head_kv = 1, .d_k = 64, .d_v = 4};
  RandomProblem problem(shape, 23);
  std::mt19937 random(23);
  std::uniform_int_distribution<int> ulps(0, 3);
  for (int64_t j = 0; j < shape.n_key; ++j) {
    for (int64_t i = 0; i < shape.d_k; ++i) {
      problem.k.Set(0, j, 0, i, std::sin(static_cast<float>(i)) * (1.0F + 0x1p-23F * static_cast<float>(ulps(random))));
    }
  }
  ExpectEqualsReference(problem.input, {.k = 300}, "near ties");
}

TEST_F(AttentionTest, HandlesScoresInSortedOrder) {
  for (float direction : {1.0F, -1.0F}) {
    Shape shape{.n_query = 2, .n_key = 6000, .n_head = 1, .n_head_kv = 1, .d_k = 4, .d_v = 4};
    RandomProblem problem(shape, 29);
    for (int64_t j = 0; j < shape.n_key; ++j) {
      for (int64_t i = 0; i < 4; ++i) problem.k.Set(0, j, 0, i, direction * 0.001F * static_cast<float>(j));
    }
    ExpectEqualsReference(problem.input, {.k = 100}, "sorted");
  }
}

TEST_F(AttentionTest, SurvivesNumbersThatAreNotFinite) {
  for (float bad : {kNan, kInf, -kInf, 3e38F, 1e-40F}) {
    for (bool in_key : {true, false}) {
      for (int64_t k : {5, 5000}) {
        Shape shape{.n_query = 3, .n_key = 300, .n_head = 2, .n_head_kv = 1, .d_k = 12, .d_v = 4};
        RandomProblem problem(shape, 31);
        (in_key ? problem.k : problem.v).Set(0, 100, 0, 3, bad);
        ExpectEqualsReference(problem.input, {.k = k}, std::to_string(bad) + (in_key ? " in a key" : " in a value"));
      }
    }
    Shape shape{.n_query = 3, .n_key = 300, .n_head = 2, .n_head_kv = 1, .d_k = 12, .d_v = 4};
    RandomProblem problem(shape, 37);
    problem.q.Set(0, 1, 0, 2, bad);
    ExpectEqualsReference(problem.input, {.k = 5}, std::to_string(bad) + " in a query");
  }
}

TEST_F(AttentionTest, AMassThatIsNoNumberAsksForNothing) {
  for (float bad : {kNan, kInf, -kInf}) {
    for (bool dense : {false, true}) {
      Shape shape{.n_query = 6, .n_key = 300, .n_head = 2, .n_head_kv = 1, .d_k = 12, .d_v = 4};
      RandomProblem problem(shape, 32);
      problem.k.Set(0, 100, 0, 3, bad);
      const TopKOptions options{.k = 5, .sinks = 2, .min_mass = 0.9F, .max_k = 150, .dense_beyond_max_k = dense};
      ExpectEqualsReference(problem.input, options, std::to_string(bad) + " in a key, with a mass to reach");
    }
  }
}

TEST_F(AttentionTest, MassesOfHugeScoresAreThoseOfTheReference) {
  for (float size : {1e4F, 1e10F, 1e30F, 1e37F}) {
    Shape shape{.n_query = 5, .n_key = 400, .n_head = 2, .n_head_kv = 1, .d_k = 16, .d_v = 4};
    RandomProblem problem(shape, 33);
    for (int64_t query = 0; query < shape.n_query; ++query) {
      for (int64_t i = 0; i < shape.d_k; ++i) problem.q.Set(0, query, 1, i, size * static_cast<float>(i - 8));
    }
    ExpectEqualsReference(problem.input, {.k = 20, .mass = MassMode::kExact}, std::to_string(size));
    ExpectEqualsReference(problem.input, {.k = 20, .min_mass = 0.9F, .max_k = 300}, std::to_string(size) + " min_mass");
  }
}

// What nobody thought of: random shapes, options and spoilt numbers.
TEST_F(AttentionTest, EqualsReferenceOnRandomProblems) {
  std::mt19937 random(600);
  const auto pick = [&](auto... choices) {
    const std::common_type_t<decltype(choices)...> all[] = {choices...};
    return all[random() % sizeof...(choices)];
  };
  using Mask = Shape::Mask;
  for (uint32_t trial = 0; trial < 80; ++trial) {
    Shape shape;
    shape.n_batch = pick(1, 1, 2);
    shape.n_query = pick(1, 2, 9, 40);
    shape.n_key = pick(1, 30, 200, 700, 2500);
    shape.n_head_kv = pick(1, 2);
    shape.n_head = shape.n_head_kv * pick(1, 2, 5);
    shape.d_k = pick(1, 8, 31, 64);
    shape.d_v = pick(1, 16, 33);
    shape.mask =
        pick(Mask::kNone, Mask::kCausal, Mask::kRandom, Mask::kAlibi, Mask::kSequences, Mask::kSparse, Mask::kSparse);
    shape.mask_type = pick(DataType::kF16, DataType::kF32);
    shape.softcap = pick(0.0F, 0.0F, 30.0F);
    shape.sink_logits = pick(false, true);
    RandomProblem problem(shape, 601 + trial);
    const float spoilt = pick(1.0F, 1.0F, kNan, kInf, -kInf, 1e10F, 1e-40F);
    if (spoilt != 1.0F) problem.k.Set(0, random() % shape.n_key, 0, random() % shape.d_k, spoilt);
    TopKOptions options;
    options.k = pick(1, 7, 64, 300);
    options.temperature = pick(1.0F, 0.5F);
    options.sinks = pick(0, 0, 3, 50);
    options.window = pick(0, 0, 3, 50);
    options.crossover = pick(0, 0, 300);
    options.mass = pick(MassMode::kOff, MassMode::kSampled, MassMode::kExact);
    problem.input.dropout_p = pick(0.0F, 0.0F, 0.5F);
    problem.input.dropout_seed = trial;
    if (!shape.sink_logits && options.mass == MassMode::kOff) {
      problem.input.activation = pick(Activation::kSoftmax, Activation::kRelu);
    }
    ExpectEqualsReference(problem.input, options,
                          "trial " + std::to_string(trial) + ": " + shape.Name() + " " + FormatOptions(options));
    if (HasFatalFailure()) return;
  }
}

// A hidden key or value cannot reach the output, whatever it holds.
TEST_F(AttentionTest, HiddenKeysAndValuesDoNotCount) {
  Shape shape{
      .n_query = 4, .n_key = 200, .n_head = 2, .n_head_kv = 1, .d_k = 8, .d_v = 8, .mask = Shape::Mask::kCausal};
  for (int64_t k : {10, 1000}) {
    RandomProblem problem(shape, 41);
    for (int64_t i = 0; i < 8; ++i) {
      problem.k.Set(0, 199, 0, i, kNan);  // seen by the last query alone
      problem.v.Set(0, 199, 0, i, kInf);
    }
    problem.input.n_query = 3;
    problem.input.causal = false;
    std::vector<float> mask(3 * 200, 0.0F);
    for (int64_t query = 0; query < 3; ++query) mask[query * 200 + 199] = -kInf;
    problem.input.mask = {.data = mask.data(), .type = DataType::kF32, .query_stride = 800};
    ExpectEqualsReference(problem.input, {.k = k}, "hidden NaN");
    OutputTensor out(problem.input);
    ASSERT_TRUE(Attention(problem.input, {.k = k}, {out.view()}, SerialExecutor()).ok());
    for (float x : out.numbers) ASSERT_TRUE(std::isfinite(x));
  }
}

TEST_F(AttentionTest, AcceptsEmptyInputs) {
  for (int which : {0, 1, 2}) {
    Shape shape{.n_batch = which == 0 ? 0 : 1, .n_query = which == 1 ? 0 : 2, .n_key = which == 2 ? 0 : 9};
    const RandomProblem problem(shape, 43);
    OutputTensor out(problem.input);
    ASSERT_TRUE(Attention(problem.input, {}, {out.view()}, SerialExecutor()).ok());
    for (float x : out.numbers) EXPECT_EQ(x, 0.0F);  // a row without keys gives zeros
  }
}

TEST_F(AttentionTest, BroadcastsMasksOverHeadsAndBatches) {
  Shape shape{.n_batch = 4, .n_query = 2, .n_key = 50, .n_head = 4, .n_head_kv = 2};
  RandomProblem problem(shape, 47);
  std::vector<float> mask(2 * 2 * 2 * 50);  // [batch % 2][head % 2][query][key]
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 3 == 0 ? -kInf : 0.25F * static_cast<float>(i % 5);
  problem.input.mask = {.data = mask.data(),
                        .type = DataType::kF32,
                        .n_head = 2,
                        .n_batch = 2,
                        .query_stride = 200,
                        .head_stride = 400,
                        .batch_stride = 800};
  ExpectEqualsReference(problem.input, {.k = 7}, "broadcast");
}

TEST_F(AttentionTest, RefusesWhatIsOutOfRangeAndTouchesNothing) {
  const Shape shape;
  const auto expect_refused = [&](const char* part, auto&& spoil) {
    RandomProblem problem(shape, 53);
    OutputTensor out(problem.input);
    TopKOptions options;
    AttentionOutput output{out.view()};
    spoil(problem.input, options, output);
    const Status status = Attention(problem.input, options, output, SerialExecutor());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    for (float x : out.numbers) ASSERT_EQ(x, -77.0F) << part;
  };
  using In = AttentionInput;
  using Opt = TopKOptions;
  using Out = AttentionOutput;
  expect_refused("k=0", [](In&, Opt& o, Out&) { o.k = 0; });
  expect_refused("k=-5", [](In&, Opt& o, Out&) { o.k = -5; });
  expect_refused("temperature=0", [](In&, Opt& o, Out&) { o.temperature = 0; });
  expect_refused("temperature=nan", [](In&, Opt& o, Out&) { o.temperature = kNan; });
  expect_refused("max_k=8", [](In&, Opt& o, Out&) { o.min_mass = 0.5F, o.max_k = 8; });
  expect_refused("d_k=0", [](In& i, Opt&, Out&) { i.d_k = 0; });
  expect_refused("d_v=1025", [](In& i, Opt&, Out&) { i.d_v = 1025; });
  expect_refused("n_key=-1", [](In& i, Opt&, Out&) { i.n_key = -1; });
  expect_refused("n_batch * n_key * n_head_kv", [](In& i, Opt&, Out&) { i.n_batch = 1 << 20, i.n_key = 1 << 30; });
  expect_refused("n_head=3", [](In& i, Opt&, Out&) { i.n_head = 3; });
  expect_refused("q.data", [](In& i, Opt&, Out&) { i.q.data = nullptr; });
  expect_refused("v.data", [](In& i, Opt&, Out&) { i.v.data = nullptr; });
  expect_refused("q.type", [](In& i, Opt&, Out&) { i.q.type = DataType::kF16; });
  expect_refused("q8_0", [](In& i, Opt&, Out&) { i.k.type = DataType::kQ8_0; });
  expect_refused("misaligned", [](In& i, Opt&, Out&) { i.k.token_stride += 1; });
  expect_refused("overlapping", [](In&, Opt&, Out& o) { o.out.head_stride = 4; });
  expect_refused("scale", [](In& i, Opt&, Out&) { i.scale = kInf; });
  expect_refused("softcap", [](In& i, Opt&, Out&) { i.softcap = -1; });
  expect_refused("ALiBi", [](In& i, Opt&, Out&) { i.alibi_max_bias = 8; });
  expect_refused("dropout_p=1", [](In& i, Opt&, Out&) { i.dropout_p = 1.0F; });
  expect_refused("dropout_p=-0.1", [](In& i, Opt&, Out&) { i.dropout_p = -0.1F; });
  expect_refused("dropout_p=nan", [](In& i, Opt&, Out&) { i.dropout_p = kNan; });
  expect_refused("activation=7", [](In& i, Opt&, Out&) { i.activation = static_cast<Activation>(7); });
  const auto refuse_with_relu = [&](const char* part, auto&& spoil) {
    expect_refused(part, [&](In& i, Opt& o, Out&) {
      i.activation = Activation::kRelu;
      spoil(i, o);
    });
  };
  const float logits[4] = {};
  refuse_with_relu("sink_logits with activation kRelu", [&](In& i, Opt&) { i.sink_logits = logits; });
  refuse_with_relu("min_mass=0.5", [](In&, Opt& o) { o.min_mass = 0.5F; });
  refuse_with_relu("mass with activation kRelu", [](In&, Opt& o) { o.mass = MassMode::kSampled; });
}

// More workers would not be threads, but scratch, and then the end of the process.
TEST_F(AttentionTest, TakesNoMoreThreadsThanASystemHas) {
  EXPECT_EQ(OpenMpExecutor(1).n_workers, 1);
  EXPECT_LE(OpenMpExecutor(1 << 30).n_workers, kMostThreads);
}

TEST_F(AttentionTest, WithoutFallbackABudgetThatCoversAllKeysIsAnError) {
  const RandomProblem problem(Shape{.n_key = 50}, 59);
  OutputTensor out(problem.input);
  TopKOptions options{.k = 50, .fallback = false};
  const Status status = Attention(problem.input, options, {out.view()}, SerialExecutor());
  EXPECT_EQ(status.code(), StatusCode::kBudgetCoversAllKeys);
  EXPECT_NE(status.message().find("k=50"), std::string::npos) << status.message();
  for (float x : out.numbers) ASSERT_EQ(x, -77.0F);
  options.k = 49;
  EXPECT_TRUE(Attention(problem.input, options, {out.view()}, SerialExecutor()).ok());
}

}  // namespace
}  // namespace topk
