// The backward pass against its reference on every SIMD target, and the same bits for every thread count.
#include "topk/backward.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "topk/backward/backward_for_test.h"
#include "topk/backward/gradients.h"
#include "topk/dropout/dropout.h"
#include "topk/load/pack.h"
#include "topk/numeric.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"
#include "topk/testing/thread_executor.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::Gradients;
using testing::kUnit;
using testing::kUntouched;
using testing::RandomProblem;
using testing::Shape;
using testing::Step;
using testing::ThreadExecutor;

// Bounds on the rounding of f32 in each gradient. A sum of m products of f32, in any order and fused or not, is off by
// at most gamma_m times the sum of the products' magnitudes, with gamma_m = m u / (1 - m u); every further rounding
// adds one u. So with magnitudes in place of numbers the reference's own formulas give the bounds:
//   g_j: d_v terms and the dropout's two       G_j = f_j |go|.|v_j|
//   mean: n terms more                         M   = sum w_i G_i
//   ds_j: three more                           w_j (G_j + M), or G_j
//   dx_j: the slope 1 - tanh^2 is off by (d_k + 8) u |c| |q|.|k_j| 2 / cap (it has slope at most 2 / cap) and 40 u
//         (kSoftcapUlps twice, the rest its roundings)
//   d_q: n terms and the scale; d_k, d_v: one term for each row that chose the key, at most all of the KV head.
class Bounds {
 public:
  explicit Bounds(const Step& step);

  std::vector<double> q, k, v, scores;
  double scale = 0;
};

Bounds::Bounds(const Step& step) {
  const AttentionInput& in = step.input();
  const ScoreRule rule = ScoreRule::Of(in, step.options);
  q.resize(in.n_batch * in.n_query * in.n_head * in.d_k);
  k.resize(in.n_batch * in.n_key * in.n_head_kv * in.d_k);
  v.resize(in.n_batch * in.n_key * in.n_head_kv * in.d_v);
  scores.resize(step.selection.keys.size());
  const int64_t group = in.n_head / in.n_head_kv;
  const auto number = [](const TensorView& view, int64_t b, int64_t t, int64_t h, int64_t i) {
    return std::abs(static_cast<double>(ReadNumber(view.type, view.Row(b, t, h), i)));
  };
  const auto terms_of_key = static_cast<double>(in.n_query * group);
  const double c = std::abs(rule.scale);
  for (int64_t row = 0; row < in.n_batch * in.n_query * in.n_head; ++row) {
    const int64_t b = row / in.n_head / in.n_query;
    const int64_t t = row / in.n_head % in.n_query;
    const int64_t h = row % in.n_head;
    const int64_t begin = step.selection.row_offsets[row];
    const int64_t n = step.selection.row_offsets[row + 1] - begin;
    const DropoutRow dropout = DropoutRow::Of(in, row);
    const auto weight_of = [&](int64_t j) { return static_cast<double>(step.selection.weights[begin + j]); };
    std::vector<double> g(n);
    double mean = 0;
    for (int64_t j = 0; j < n; ++j) {
      const KeyIndex key = step.selection.keys[begin + j];
      for (int64_t i = 0; i < in.d_v; ++i)
        g[j] += number(step.d_out_view, b, t, h, i) * number(in.v, b, key, h / group, i);
      g[j] *= DropoutFactor(dropout, key);
      mean += weight_of(j) * g[j];
    }
    if (in.activation == Activation::kRelu) mean = 0;
    for (int64_t j = 0; j < n; ++j) {
      const KeyIndex key = step.selection.keys[begin + j];
      double ds = weight_of(j) * (g[j] + mean);
      if (in.activation == Activation::kRelu) ds = weight_of(j) > 0 ? g[j] : 0;
      const double ds_error = static_cast<double>(in.d_v + n + 6) * kUnit * ds;
      scores[begin + j] = ds_error;
      double dot = 0;
      for (int64_t i = 0; i < in.d_k; ++i) dot += number(in.q, b, t, h, i) * number(in.k, b, key, h / group, i);
      double dx_error = ds_error + 2 * kUnit * ds;
      if (rule.softcap > 0)
        dx_error += ds * kUnit * (static_cast<double>(in.d_k + 8) * c * dot * 2 / rule.softcap + 40);
      const double q_error = dx_error + static_cast<double>(n + 3) * kUnit * ds;
      const double k_error = dx_error + (terms_of_key + 3) * kUnit * ds;
      scale += (q_error + static_cast<double>(in.d_k + 2) * kUnit * ds) * dot;
      for (int64_t i = 0; i < in.d_k; ++i) {
        q[row * in.d_k + i] += c * q_error * number(in.k, b, key, h / group, i);
        k[((b * in.n_key + key) * in.n_head_kv + h / group) * in.d_k + i] += c * k_error * number(in.q, b, t, h, i);
      }
      const double weight = weight_of(j) * DropoutFactor(dropout, key);
      for (int64_t i = 0; i < in.d_v; ++i) {
        v[((b * in.n_key + key) * in.n_head_kv + h / group) * in.d_v + i] +=
            (terms_of_key + 3) * kUnit * weight * number(step.d_out_view, b, t, h, i);
      }
    }
  }
}

// Second-order terms, and what flushed subnormals cost.
constexpr double kMargin = 1.05;
constexpr double kTiny = 1e-30;

void ExpectWithin(double got, double want, double bound, const std::string& what) {
  if (std::isnan(want)) {
    ASSERT_TRUE(std::isnan(got)) << what << ": " << got;
  } else if (std::isinf(want)) {
    ASSERT_FALSE(std::isfinite(got)) << what;
  } else {
    // The reference rounds to f32 once as well.
    ASSERT_LE(std::abs(got - want), kMargin * (bound + kUnit * std::abs(want)) + kTiny)
        << what << ": " << got << " is not " << want;
  }
}

// Rows of d numbers with a gap after each; gaps must be untouched.
void ExpectRowsWithin(const std::vector<float>& got, const std::vector<float>& want, const std::vector<double>& bound,
                      int64_t d, int64_t gap, const std::string& what) {
  for (size_t i = 0; i < got.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / (d + gap);
    const int64_t column = static_cast<int64_t>(i) % (d + gap);
    if (column >= d) {
      ASSERT_EQ(got[i], kUntouched) << what << ": after row " << row;
    } else {
      ASSERT_NO_FATAL_FAILURE(ExpectWithin(got[i], want[i], bound[row * d + column],
                                           what + " row " + std::to_string(row) + " column " + std::to_string(column)));
    }
  }
}

class BackwardTest : public testing::TargetTest {
 protected:
  static void ExpectEqualsReference(const Step& step, const std::string& what) {
    const AttentionInput& in = step.input();
    Gradients want(in, step.selection.keys.size());
    const SelectionView selection = step.selection.View();
    ASSERT_EQ(ReferenceAttentionBackward(in, step.options, selection, step.d_out_view, want.view).message(), "");
    const Bounds bounds(step);
    for (const char* target : SimdTargets()) {
      ASSERT_TRUE(UseSimdTarget(target));
      const std::string where = what + " on " + target;
      Gradients got(in, step.selection.keys.size());
      ASSERT_EQ(AttentionBackward(in, step.options, selection, step.d_out_view, got.view, SerialExecutor()).message(),
                "")
          << where;
      ASSERT_NO_FATAL_FAILURE(ExpectRowsWithin(got.scores, want.scores, bounds.scores, 1, 0, where + " d_scores"));
      ASSERT_NO_FATAL_FAILURE(ExpectRowsWithin(got.q, want.q, bounds.q, in.d_k, 1, where + " d_q"));
      ASSERT_NO_FATAL_FAILURE(ExpectRowsWithin(got.k, want.k, bounds.k, in.d_k, 2, where + " d_k"));
      ASSERT_NO_FATAL_FAILURE(ExpectRowsWithin(got.v, want.v, bounds.v, in.d_v, 3, where + " d_v"));
      ASSERT_NO_FATAL_FAILURE(ExpectWithin(got.scale, want.scale, bounds.scale, where + " d_scale"));
      ExpectSameBitsWith(step, ThreadExecutor(3), got, where + " with 3 threads");
    }
  }

  static void ExpectSameBitsWith(const Step& step, const testing::ThreadExecutor& threads, const Gradients& want,
                                 const std::string& where) {
    const SelectionView selection = step.selection.View();
    Gradients got(step.input(), step.selection.keys.size());
    ASSERT_TRUE(
        AttentionBackward(step.input(), step.options, selection, step.d_out_view, got.view, threads.executor()).ok());
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                        [](float x, float y) { return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y); });
    };
    EXPECT_TRUE(same(got.scores, want.scores)) << where << " d_scores";
    EXPECT_TRUE(same(got.q, want.q)) << where << " d_q";
    EXPECT_TRUE(same(got.k, want.k)) << where << " d_k";
    EXPECT_TRUE(same(got.v, want.v)) << where << " d_v";
    EXPECT_EQ(std::bit_cast<uint64_t>(got.scale), std::bit_cast<uint64_t>(want.scale)) << where << " d_scale";
  }
};

TEST_F(BackwardTest, ScoreGradientsEqualReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (Activation activation : {Activation::kSoftmax, Activation::kRelu}) {
      for (int64_t count : {0, 16, 32, 320}) {
        AlignedArray<float> weights(count);
        AlignedArray<float> gradients(count);
        for (int64_t j = 0; j < count; ++j) {
          weights[j] = static_cast<float>(j % 7) / 1000.0F;
          gradients[j] = std::sin(static_cast<float>(j));
        }
        AlignedArray<float> expected = gradients;
        ScoreGradients(activation, weights.data(), count, gradients.data());
        ScoreGradientsReference(activation, weights.data(), count, expected.data());
        // |g| <= 1, weights below 0.006 and their sum below 1: gamma_(count + 3) times 0.006 * 2.
        const double bound = 0.012 * static_cast<double>(count + 3) * kUnit;
        for (int64_t j = 0; j < count; ++j) ASSERT_NEAR(gradients[j], expected[j], bound) << target << " " << j;
      }
    }
  }
}

// Rows of small whole numbers, whose sums are exact.
AlignedArray<float> WholeNumbers(int64_t rows, int64_t d) {
  AlignedArray<float> numbers(rows * d);
  for (int64_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i % 13 - 6);
  return numbers;
}

// Rows with 0 to 9 entries in the range of keys from 100 on, after two that lie before it.
struct EntriesInRange {
  static constexpr int64_t kRows = 10;
  static constexpr int64_t kKeys = 120;
  static constexpr KeyIndex kFirstKey = 100;

  std::vector<KeyIndex> keys;
  std::vector<int64_t> begins, firsts;
  std::vector<uint32_t> starts;
  RangeEntries view;

  EntriesInRange() {
    for (int64_t r = 0; r < kRows; ++r) {
      begins.push_back(static_cast<int64_t>(keys.size()));
      firsts.push_back(r * kMaxLanes);
      starts.insert(starts.end(), {0, 2, static_cast<uint32_t>(2 + r)});
      keys.insert(keys.end(), {3, 99});
      for (int64_t e = 0; e < r; ++e) keys.push_back(static_cast<KeyIndex>(kFirstKey + 2 * e));
    }
    view = {.n_rows = kRows,
            .keys = keys.data(),
            .begins = begins.data(),
            .firsts = firsts.data(),
            .starts = starts.data() + 1,
            .start_stride = 3,
            .first_key = kFirstKey};
  }
};

TEST_F(BackwardTest, MultipliesEntriesAsTheReferenceDoes) {
  const EntriesInRange entries;
  for (int64_t d : {16, 32, 64, 80, 208}) {
    const AlignedArray<float> x = WholeNumbers(EntriesInRange::kRows, d);
    const AlignedArray<float> y = WholeNumbers(EntriesInRange::kKeys, d);
    const int64_t size = EntriesInRange::kRows * kMaxLanes;
    AlignedArray<float> expected(size);
    std::fill_n(expected.data(), size, kUntouched);
    for (const char* target : SimdTargets()) {
      ASSERT_TRUE(UseSimdTarget(target));
      AlignedArray<float> dots(size);
      std::fill_n(dots.data(), size, kUntouched);
      DotEntries(entries.view, {x.data(), d}, {y.data(), d}, dots.data());
      DotEntriesReference(entries.view, {x.data(), d}, {y.data(), d}, expected.data());
      for (int64_t i = 0; i < size; ++i) ASSERT_EQ(dots[i], expected[i]) << target << " d " << d << " at " << i;
    }
  }
}

TEST_F(BackwardTest, AddsToKeysAsTheReferenceDoes) {
  const EntriesInRange entries;
  std::vector<float> factors(entries.keys.size());
  for (size_t e = 0; e < factors.size(); ++e) factors[e] = static_cast<float>(e % 5) - 2.0F;
  const AlignedArray<float> by_first = WholeNumbers(EntriesInRange::kRows, kMaxLanes);
  for (int64_t d_a : {0, 16, 64, 80, 208}) {
    for (int64_t d_b : {0, 16, 64, 144}) {
      const AlignedArray<float> a = WholeNumbers(EntriesInRange::kRows, d_a);
      const AlignedArray<float> b = WholeNumbers(EntriesInRange::kRows, d_b);
      const KeyTerms term_a = {{a.data(), d_a}, by_first.data(), entries.firsts.data()};
      const KeyTerms term_b = {{b.data(), d_b}, factors.data(), entries.begins.data()};
      for (const char* target : SimdTargets()) {
        ASSERT_TRUE(UseSimdTarget(target));
        AlignedArray<float> sums((EntriesInRange::kKeys - EntriesInRange::kFirstKey) * (d_a + d_b));
        std::fill_n(sums.data(), sums.size(), 1.0F);
        AlignedArray<float> expected = sums;
        AddToKeys(entries.view, term_a, term_b, sums.data());
        AddToKeysReference(entries.view, term_a, term_b, expected.data());
        for (int64_t i = 0; i < sums.size(); ++i) {
          ASSERT_EQ(sums[i], expected[i]) << target << " d " << d_a << " and " << d_b << " at " << i;
        }
      }
    }
  }
}

TEST_F(BackwardTest, EqualsReferenceForAllTypesOfKeysAndValues) {
  constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0};
  uint32_t seed = 1;
  for (DataType k_type : kTypes) {
    for (DataType v_type : kTypes) {
      const Shape shape{
          .n_query = 5, .n_key = 200, .d_k = 32, .d_v = 64, .k_type = k_type, .v_type = v_type, .padding = 2};
      ExpectEqualsReference(Step(shape, seed++, {.k = 17, .temperature = 0.7F}, nullptr), shape.Name());
    }
  }
}

TEST_F(BackwardTest, EqualsReferenceForOddShapes) {
  uint32_t seed = 100;
  for (int64_t d_k : {1, 3, 16, 65}) {
    for (int64_t d_v : {1, 17, 80}) {
      for (int64_t n_key : {1, 64, 129}) {
        for (int64_t n_head_kv : {1, 3}) {
          const Shape shape{
              .n_batch = 2, .n_query = 7, .n_key = n_key, .n_head = 3, .n_head_kv = n_head_kv, .d_k = d_k, .d_v = d_v};
          ExpectEqualsReference(Step(shape, seed++, {.k = 10}, nullptr), shape.Name());
        }
      }
    }
  }
}

TEST_F(BackwardTest, EqualsReferenceWithMasksSoftcapSinkLogitsDropoutAndRelu) {
  uint32_t seed = 200;
  using Mask = Shape::Mask;
  for (Mask mask : {Mask::kCausal, Mask::kAlibi, Mask::kAllHidden, Mask::kSparse}) {
    for (float softcap : {0.0F, 0.5F, 5.0F}) {
      for (Activation activation : {Activation::kSoftmax, Activation::kRelu}) {
        for (float dropout : {0.0F, 0.3F}) {
          const Shape shape{.n_batch = 2,
                            .n_query = 40,
                            .n_key = 90,
                            .n_head = 4,
                            .n_head_kv = 2,
                            .mask = mask,
                            .softcap = softcap,
                            .sink_logits = activation == Activation::kSoftmax};
          const auto change = [&](RandomProblem& problem) {
            problem.input.activation = activation;
            problem.input.dropout_p = dropout;
            problem.input.dropout_seed = seed;
          };
          ExpectEqualsReference(
              Step(shape, seed++, {.k = 20, .sinks = 2, .window = 5}, change),
              shape.Name() + (activation == Activation::kRelu ? " relu" : "") + " dropout " + std::to_string(dropout));
        }
      }
    }
  }
}

// A tensor of f32 with the rows of each head side by side, as PyTorch has them.
struct HeadMajor {
  HeadMajor(const TensorView& from, int64_t n_batch, int64_t n_token, int64_t n_head, int64_t d)
      : numbers(n_batch * n_token * n_head * d),
        view{.data = numbers.data(),
             .token_stride = RowBytes(DataType::kF32, d),
             .head_stride = n_token * RowBytes(DataType::kF32, d),
             .batch_stride = n_head * n_token * RowBytes(DataType::kF32, d)} {
    float* at = numbers.data();
    for (int64_t b = 0; b < n_batch; ++b) {
      for (int64_t h = 0; h < n_head; ++h) {
        for (int64_t t = 0; t < n_token; ++t) {
          at = std::copy_n(reinterpret_cast<const float*>(from.Row(b, t, h)), d, at);
        }
      }
    }
  }

  AlignedArray<float> numbers;
  TensorView view;
};

TEST_F(BackwardTest, EqualsReferenceWhereNothingNeedsToBeCopied) {
  const Shape shape{.n_batch = 2,
                    .n_query = 70,
                    .n_key = 300,
                    .n_head = 3,
                    .n_head_kv = 3,
                    .d_k = 64,
                    .d_v = 32,
                    .mask = Shape::Mask::kCausal};
  Step step(shape, 250, {.k = 40}, nullptr);
  ASSERT_NO_FATAL_FAILURE(ExpectEqualsReference(step, "token by token"));
  AttentionInput& in = step.problem.input;
  const HeadMajor q(in.q, in.n_batch, in.n_query, in.n_head, in.d_k);
  const HeadMajor k(in.k, in.n_batch, in.n_key, in.n_head, in.d_k);
  const HeadMajor v(in.v, in.n_batch, in.n_key, in.n_head, in.d_v);
  const HeadMajor d_out(step.d_out_view, in.n_batch, in.n_query, in.n_head, in.d_v);
  in.q = q.view;
  in.k = k.view;
  in.v = v.view;
  step.d_out_view = d_out.view;
  ExpectEqualsReference(step, "head by head");
}

// Several ranges of keys, of both kinds: as wide as the cache holds, and wider because rows are short.
TEST_F(BackwardTest, EqualsReferenceOverSeveralKeyRanges) {
  for (int64_t k : {1, 9, 60}) {
    const Shape shape{
        .n_query = 30, .n_key = 5000, .n_head = 2, .n_head_kv = 1, .d_k = 64, .d_v = 64, .mask = Shape::Mask::kCausal};
    ExpectEqualsReference(Step(shape, 300, {.k = k}, nullptr), shape.Name() + " k " + std::to_string(k));
  }
}

TEST_F(BackwardTest, HasTheSameBitsForEveryThreadCount) {
  const Shape shape{.n_batch = 2, .n_query = 100, .n_key = 1500, .d_k = 64, .d_v = 64, .mask = Shape::Mask::kCausal};
  const Step step(shape, 400, {.k = 30}, nullptr);
  Gradients one(step.input(), step.selection.keys.size());
  ASSERT_TRUE(
      AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out_view, one.view, SerialExecutor())
          .ok());
  for (int n_threads : {2, 5, 16}) {
    ExpectSameBitsWith(step, ThreadExecutor(n_threads), one, std::to_string(n_threads) + " threads");
  }
}

TEST_F(BackwardTest, ComputesOnlyWhatIsAskedFor) {
  for (float softcap : {0.0F, 3.0F}) {
    const Step step({.n_query = 20, .n_key = 100, .softcap = softcap}, 500, {.k = 9}, nullptr);
    const SelectionView selection = step.selection.View();
    Gradients all(step.input(), step.selection.keys.size());
    ASSERT_TRUE(
        AttentionBackward(step.input(), step.options, selection, step.d_out_view, all.view, SerialExecutor()).ok());
    for (int wanted = 0; wanted < 32; ++wanted) {
      Gradients some(step.input(), step.selection.keys.size());
      AttentionGradients view;
      if ((wanted & 1) != 0) view.d_q = some.view.d_q;
      if ((wanted & 2) != 0) view.d_k = some.view.d_k;
      if ((wanted & 4) != 0) view.d_v = some.view.d_v;
      if ((wanted & 8) != 0) view.d_scores = some.view.d_scores;
      if ((wanted & 16) != 0) view.d_scale = some.view.d_scale;
      ASSERT_TRUE(
          AttentionBackward(step.input(), step.options, selection, step.d_out_view, view, SerialExecutor()).ok());
      const auto expect = [&](bool is_wanted, const std::vector<float>& got, const std::vector<float>& computed) {
        EXPECT_EQ(got, is_wanted ? computed : std::vector<float>(got.size(), kUntouched)) << wanted;
      };
      expect((wanted & 1) != 0, some.q, all.q);
      expect((wanted & 2) != 0, some.k, all.k);
      expect((wanted & 4) != 0, some.v, all.v);
      expect((wanted & 8) != 0, some.scores, all.scores);
      EXPECT_EQ(some.scale, (wanted & 16) != 0 ? all.scale : kUntouched) << wanted;
    }
  }
}

}  // namespace
}  // namespace topk
