// k=auto: the rule itself, and attention with it against the reference on every path.
#include "topk/auto_budget.h"

#include <algorithm>
#include <random>
#include <vector>

#include "topk/attention.h"
#include "topk/backward.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectEqualsReference;
using testing::OutputTensor;
using testing::RandomProblem;
using testing::RandomTensor;
using testing::Shape;

class AutoBudgetTest : public testing::TargetTest {};

TEST_F(AutoBudgetTest, IsTheRootOf32TimesTheVisibleKeysWithinItsLimits) {
  for (const int64_t n : {0, 1, 127, 128, 512}) EXPECT_EQ(AutoBudget(n), 128) << n;
  EXPECT_EQ(AutoBudget(513), 129);  // 128.1, rounded up
  EXPECT_EQ(AutoBudget(1024), 182);
  EXPECT_EQ(AutoBudget(2048), 256);
  EXPECT_EQ(AutoBudget(4096), 363);
  EXPECT_EQ(AutoBudget(8191), 512);
  for (const int64_t n : {int64_t{8192}, int64_t{100'000}, kMaxKeys}) EXPECT_EQ(AutoBudget(n), 512) << n;
}

// What the layout of a call counts on: no row needs more memory than the one that sees most.
TEST_F(AutoBudgetTest, NeitherTheKeptNorTheDroppedKeysFallAsMoreAreVisible) {
  for (int64_t n = kLeastAutoBudget; n < 10'000; ++n) {
    ASSERT_GE(AutoBudget(n + 1), AutoBudget(n)) << n;
    ASSERT_GE(n + 1 - AutoBudget(n + 1), n - AutoBudget(n)) << n;
  }
}

// Rows with fewer keys than the least budget, with as many as int8 scans want, and all between, in one prompt.
TEST_F(AutoBudgetTest, EqualsReferenceInAPromptFromItsFirstToken) {
  Shape shape{
      .n_query = 1100, .n_key = 1100, .n_head = 1, .n_head_kv = 1, .d_k = 16, .d_v = 4, .mask = Shape::Mask::kCausal};
  const RandomProblem problem(shape, 1);
  ExpectEqualsReference(problem.input, {.k = kAutoBudget, .sparse = true, .mass = MassMode::kSampled}, shape.Name());
}

TEST_F(AutoBudgetTest, EqualsReferenceInLaterPartsOfAPromptAndInDecode) {
  uint32_t seed = 10;
  for (const int64_t n_query : {34, 1}) {  // many queries share one scan; one splits its 3,000 keys among tasks
    for (const DataType type : {DataType::kF16, DataType::kQ8_0}) {
      Shape shape{.n_query = n_query,
                  .n_key = 3000,
                  .n_head = 2,
                  .n_head_kv = 1,
                  .d_k = 32,
                  .d_v = 32,
                  .k_type = type,
                  .v_type = type,
                  .mask = Shape::Mask::kCausal};
      const RandomProblem problem(shape, seed++);
      ExpectEqualsReference(problem.input, {.k = kAutoBudget}, shape.Name());
      ExpectEqualsReference(problem.input, {.k = kAutoBudget, .sinks = 3, .window = 100}, shape.Name() + " forced");
    }
  }
}

// The budget grows from that of the row's length, which is above what a mass of 0.1 needs and below what 0.6 does.
TEST_F(AutoBudgetTest, EqualsReferenceWhereItGrowsToAMass) {
  for (const int64_t n_query : {300, 1}) {
    Shape shape{.n_query = n_query, .n_key = n_query == 1 ? 2100 : 300, .n_head = 2, .n_head_kv = 1, .d_k = 16};
    shape.mask = Shape::Mask::kCausal;
    const RandomProblem problem(shape, 15);
    for (const float min_mass : {0.1F, 0.6F}) {
      ExpectEqualsReference(problem.input, {.k = kAutoBudget, .min_mass = min_mass, .max_k = 700}, shape.Name());
    }
  }
}

// The rows of a mask see different numbers of keys, down to none, wherever in the prompt they stand.
TEST_F(AutoBudgetTest, EqualsReferenceWhereMasksHideMostKeys) {
  uint32_t seed = 20;
  for (const Shape::Mask mask : {Shape::Mask::kRandom, Shape::Mask::kSequences, Shape::Mask::kSparse}) {
    for (const int64_t n_query : {40, 2}) {
      Shape shape{.n_query = n_query, .n_key = 5000, .n_head = 2, .n_head_kv = 1, .d_k = 16, .d_v = 4, .mask = mask};
      const RandomProblem problem(shape, seed++);
      ExpectEqualsReference(problem.input, {.k = kAutoBudget}, shape.Name());
    }
  }
}

TEST_F(AutoBudgetTest, EqualsReferenceWithACrossoverDropoutAndNumbersThatAreNotFinite) {
  Shape shape{
      .n_query = 100, .n_key = 700, .n_head = 2, .n_head_kv = 1, .d_k = 8, .d_v = 8, .mask = Shape::Mask::kCausal};
  RandomProblem problem(shape, 30);
  ExpectEqualsReference(problem.input, {.k = kAutoBudget, .crossover = 650}, "crossover");
  problem.k.Set(0, 650, 0, 3, testing::kNan);
  ExpectEqualsReference(problem.input, {.k = kAutoBudget}, "NaN in a key");
  problem.input.dropout_p = 0.3F;
  ExpectEqualsReference(problem.input, {.k = kAutoBudget}, "dropout");
}

TEST_F(AutoBudgetTest, ARowKeepsTheSameKeysInAPromptAndAlone) {
  Shape shape{
      .n_query = 512, .n_key = 3000, .n_head = 2, .n_head_kv = 1, .d_k = 16, .d_v = 4, .mask = Shape::Mask::kCausal};
  const RandomProblem problem(shape, 40);
  const TopKOptions options{.k = kAutoBudget};
  OutputTensor out(problem.input);
  Selection prompt;
  ASSERT_TRUE(Attention(problem.input, options, {out.view(), &prompt}, SerialExecutor()).ok());
  for (const int64_t query : {0, 1, 100, 511}) {
    AttentionInput alone = problem.input;
    alone.n_query = 1;
    alone.n_key = shape.n_key - shape.n_query + query + 1;
    alone.q.data = problem.input.q.Row(0, query, 0);
    alone.mask = {};
    OutputTensor out_alone(alone);
    Selection selection;
    ASSERT_TRUE(Attention(alone, options, {out_alone.view(), &selection}, SerialExecutor()).ok());
    const auto first = prompt.keys.begin() + prompt.row_offsets[query * shape.n_head];
    const auto last = prompt.keys.begin() + prompt.row_offsets[(query + 1) * shape.n_head];
    EXPECT_EQ(last - first, shape.n_head * AutoBudget(alone.n_key));
    EXPECT_TRUE(std::equal(first, last, selection.keys.begin(), selection.keys.end())) << query;
  }
}

TEST_F(AutoBudgetTest, TheGradientsAreThoseOfTheSelection) {
  const Shape shape{.n_query = 3, .n_key = 700, .mask = Shape::Mask::kCausal};
  const RandomProblem problem(shape, 50);
  const TopKOptions options{.k = kAutoBudget};
  OutputTensor out(problem.input);
  Selection selection;
  ASSERT_TRUE(Attention(problem.input, options, {out.view(), &selection}, SerialExecutor()).ok());
  RandomTensor d_out(DataType::kF32, shape.n_batch, shape.n_query, shape.n_head, shape.d_v, 0);
  std::mt19937 random(51);
  d_out.FillGaussian(random);
  const int64_t row = shape.n_head_kv * shape.d_v;
  std::vector<float> d_v(static_cast<size_t>(shape.n_key * row));
  std::vector<float> expected = d_v;
  const auto gradients_into = [&](std::vector<float>& to) {
    AttentionGradients gradients;
    gradients.d_v = {to.data(), row * 4, shape.d_v * 4, shape.n_key * row * 4};
    return gradients;
  };
  ASSERT_EQ(
      AttentionBackward(problem.input, options, selection.View(), d_out.view(), gradients_into(d_v), SerialExecutor())
          .message(),
      "");
  ASSERT_TRUE(
      ReferenceAttentionBackward(problem.input, options, selection.View(), d_out.view(), gradients_into(expected))
          .ok());
  for (size_t i = 0; i < d_v.size(); ++i) ASSERT_NEAR(d_v[i], expected[i], 1e-4F) << i;
  EXPECT_TRUE(std::any_of(d_v.begin(), d_v.end(), [](float x) { return x != 0; }));
}

TEST_F(AutoBudgetTest, WithoutFallbackSomeRowMustSeeMoreThanItsBudget) {
  for (const int64_t n_key : {100, 128, 129}) {
    const RandomProblem problem(Shape{.n_key = n_key, .mask = Shape::Mask::kCausal}, 60);
    const TopKOptions options{.k = kAutoBudget, .fallback = false};
    for (const auto& status : {[&] {
                                 OutputTensor out(problem.input);
                                 return Attention(problem.input, options, {out.view()}, SerialExecutor());
                               }(),
                               [&] {
                                 OutputTensor out(problem.input);
                                 return ReferenceAttention(problem.input, options, {out.view()});
                               }()}) {
      EXPECT_EQ(status.code(), n_key > 128 ? StatusCode::kOk : StatusCode::kBudgetCoversAllKeys) << n_key;
    }
  }
  const RandomProblem problem(Shape{.n_key = 100}, 61);
  OutputTensor out(problem.input);
  const Status status = Attention(problem.input, {.k = kAutoBudget, .fallback = false}, {out.view()}, SerialExecutor());
  EXPECT_EQ(status.message().find("k=auto, 128 here, covers all keys: no query sees more than 100"), 0)
      << status.message();
}

TEST(BudgetInWordsTest, TellsWhatAutoStandsFor) {
  EXPECT_EQ(BudgetInWords(256, 4096), "256");
  EXPECT_EQ(BudgetInWords(kAutoBudget, 4096), "auto, 363 here,");
}

// A call as a whole and each of its rows.
TEST_F(AutoBudgetTest, CountsAndScratchFollowTheBudgets) {
  const Shape shape{.n_query = 600, .n_key = 600, .n_head = 1, .n_head_kv = 1, .d_k = 8, .d_v = 4};
  RandomProblem problem(shape, 70);
  problem.input.causal = true;
  OutputTensor out(problem.input);
  Statistics statistics;
  ASSERT_TRUE(Attention(problem.input, {.k = kAutoBudget}, {out.view(), nullptr, &statistics}, SerialExecutor()).ok());
  int64_t kept = 0;
  for (int64_t n = 1; n <= shape.n_key; ++n) kept += std::min(n, AutoBudget(n));
  EXPECT_EQ(statistics.keys_kept, kept);
  EXPECT_EQ(statistics.dense_rows, kLeastAutoBudget);
  EXPECT_EQ(ScratchBytes(problem.input, {.k = kAutoBudget}, 2),
            ScratchBytes(problem.input, {.k = AutoBudget(shape.n_key)}, 2));
}

}  // namespace
}  // namespace topk
