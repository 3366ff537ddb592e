// The backward pass against its reference on every SIMD target, the reference against finite differences of
// ReferenceAttention, and what callers may rely on: the same bits for every thread count, refusals that touch nothing.
#include "topk/backward.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

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
using testing::kInf;
using testing::kNan;
using testing::OutputTensor;
using testing::RandomProblem;
using testing::RandomTensor;
using testing::Shape;
using testing::ThreadExecutor;

constexpr float kUntouched = -77.0F;

// All gradients of a problem, in memory with gaps between rows.
struct Gradients {
  explicit Gradients(const AttentionInput& in, size_t entries)
      : q(in.n_batch * in.n_query * in.n_head * (in.d_k + 1), kUntouched),
        k(in.n_batch * in.n_key * in.n_head_kv * (in.d_k + 2), kUntouched),
        v(in.n_batch * in.n_key * in.n_head_kv * (in.d_v + 3), kUntouched),
        scores(entries, kUntouched),
        view{ViewOf(q, in.n_query, in.n_head, in.d_k + 1), ViewOf(k, in.n_key, in.n_head_kv, in.d_k + 2),
             ViewOf(v, in.n_key, in.n_head_kv, in.d_v + 3), scores.data(), &scale} {}
  Gradients(const Gradients&) = delete;
  Gradients(Gradients&&) = delete;
  Gradients& operator=(const Gradients&) = delete;
  Gradients& operator=(Gradients&&) = delete;
  ~Gradients() = default;

  static OutputView ViewOf(std::vector<float>& numbers, int64_t n_token, int64_t n_head, int64_t row) {
    return {numbers.data(), 4 * n_head * row, 4 * row, 4 * n_token * n_head * row};
  }
  bool IsUntouched() const {
    const auto all = [](const std::vector<float>& numbers) {
      return std::all_of(numbers.begin(), numbers.end(), [](float x) { return x == kUntouched; });
    };
    return all(q) && all(k) && all(v) && all(scores) && scale == kUntouched;
  }

  std::vector<float> q, k, v, scores;
  double scale = kUntouched;
  AttentionGradients view;
};

// A problem with its selection and the gradient of its output.
struct Step {
  Step(const Shape& shape, uint32_t seed, const TopKOptions& how, const std::function<void(RandomProblem&)>& change)
      : problem(shape, seed),
        options(how),
        d_out(DataType::kF32, shape.n_batch, shape.n_query, shape.n_head, shape.d_v, shape.padding) {
    if (change) change(problem);
    std::mt19937 random(seed + 1);
    d_out.FillGaussian(random);
    OutputTensor out(problem.input);
    EXPECT_EQ(ReferenceAttention(problem.input, options, {out.view(), &selection, nullptr}).message(), "");
  }
  const AttentionInput& input() const { return problem.input; }

  RandomProblem problem;
  TopKOptions options;
  RandomTensor d_out;
  Selection selection;
};

constexpr double kUnit = 0x1p-24;

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
        g[j] += number(step.d_out.view(), b, t, h, i) * number(in.v, b, key, h / group, i);
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
            (terms_of_key + 3) * kUnit * weight * number(step.d_out.view(), b, t, h, i);
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
    ASSERT_EQ(ReferenceAttentionBackward(in, step.options, selection, step.d_out.view(), want.view).message(), "");
    const Bounds bounds(step);
    for (const char* target : SimdTargets()) {
      ASSERT_TRUE(UseSimdTarget(target));
      const std::string where = what + " on " + target;
      Gradients got(in, step.selection.keys.size());
      ASSERT_EQ(AttentionBackward(in, step.options, selection, step.d_out.view(), got.view, SerialExecutor()).message(),
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
        AttentionBackward(step.input(), step.options, selection, step.d_out.view(), got.view, threads.executor()).ok());
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

TEST_F(BackwardTest, AddsToKeysAsTheReferenceDoes) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {1, 3, 4, 15, 16, 17, 31, 64, 80, 129, 200}) {
      const int64_t stride = PadToLanes(d) + kMaxLanes;
      const std::vector<KeyIndex> keys = {100, 101, 109};
      const std::vector<float> factors = {0.5F, -2.0F, 1.0F};
      std::vector<float> x(d);
      for (int64_t i = 0; i < d; ++i) x[i] = static_cast<float>(i + 1);  // all sums are exact
      AlignedArray<float> sums(10 * stride);
      std::fill_n(sums.data(), sums.size(), 1.0F);
      AlignedArray<float> expected = sums;
      AddToKeys(keys, factors.data(), x.data(), d, {sums.data(), 100, stride});
      AddToKeysReference(keys, factors.data(), x.data(), d, {expected.data(), 100, stride});
      for (int64_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], expected[i]) << target << " d " << d << " at " << i;
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
  ASSERT_TRUE(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), one.view,
                                SerialExecutor())
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
        AttentionBackward(step.input(), step.options, selection, step.d_out.view(), all.view, SerialExecutor()).ok());
    for (int wanted = 0; wanted < 32; ++wanted) {
      Gradients some(step.input(), step.selection.keys.size());
      AttentionGradients view;
      if ((wanted & 1) != 0) view.d_q = some.view.d_q;
      if ((wanted & 2) != 0) view.d_k = some.view.d_k;
      if ((wanted & 4) != 0) view.d_v = some.view.d_v;
      if ((wanted & 8) != 0) view.d_scores = some.view.d_scores;
      if ((wanted & 16) != 0) view.d_scale = some.view.d_scale;
      ASSERT_TRUE(
          AttentionBackward(step.input(), step.options, selection, step.d_out.view(), view, SerialExecutor()).ok());
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

// The slope of a smooth function at 0, by central differences with two steps (Richardson): off by h^4 / 30 times the
// fifth derivative.
constexpr double kStep = 0x1p-5;
double Slope(const std::function<double(double)>& f) {
  const auto slope = [&](double h) { return (f(h) - f(-h)) / (2 * h); };
  return (4 * slope(kStep) - slope(2 * kStep)) / 3;
}

// The loss is sum go.out over a problem whose selection stays as it is while inputs move: each row keeps all that it
// sees. Under ReLU a bias keeps scores away from the kink: they are within 5 here, or the soft-cap.
class Loss {
 public:
  Loss(Activation activation, float softcap, float dropout)
      : step_({.n_query = 6,
               .n_key = 40,
               .n_head = 4,
               .n_head_kv = 2,
               .d_k = 5,
               .d_v = 3,
               .mask = Shape::Mask::kRandom,
               .mask_type = DataType::kF32,
               .softcap = softcap,
               .sink_logits = activation == Activation::kSoftmax},
              600, {.k = 100}, [&](RandomProblem& problem) {
                problem.input.activation = activation;
                problem.input.dropout_p = dropout;
                for (size_t i = 0; i < problem.mask_f32.size() && activation == Activation::kRelu; ++i) {
                  problem.mask_f32[i] += i % 3 == 0 ? -8.0F : 8.0F;
                }
              }) {}

  Step& step() { return step_; }
  // Also sums the magnitudes of the terms, if wanted.
  double Value(double* magnitude = nullptr) const {
    const AttentionInput& in = step_.input();
    OutputTensor out(in);
    EXPECT_TRUE(ReferenceAttention(in, step_.options, {out.view()}).ok());
    double sum = 0;
    for (int64_t row = 0; row < in.n_query * in.n_head; ++row) {
      const uint8_t* d_out = step_.d_out.view().Row(0, row / in.n_head, row % in.n_head);
      for (int64_t i = 0; i < in.d_v; ++i) {
        const double term = static_cast<double>(ReadNumber(DataType::kF32, d_out, i)) *
                            static_cast<double>(out.numbers[row * in.d_v + i]);
        sum += term;
        if (magnitude != nullptr) *magnitude += std::abs(term);
      }
    }
    return sum;
  }
  double SlopeOf(float& x) const {
    const float old = x;
    const double slope = Slope([&](double h) {
      x = static_cast<float>(old + h);
      return Value();
    });
    x = old;
    return slope;
  }

 private:
  Step step_;
};

void ExpectFiniteDifferences(Activation activation, float softcap, float dropout, const std::string& what) {
  Loss loss(activation, softcap, dropout);
  Step& step = loss.step();
  const AttentionInput& in = step.input();
  Gradients gradients(in, step.selection.keys.size());
  const SelectionView selection = step.selection.View();
  ASSERT_TRUE(ReferenceAttentionBackward(in, step.options, selection, step.d_out.view(), gradients.view).ok());

  // Each output is rounded to f32: at most 2 u |loss| in the difference of two, over the step. Fifth derivatives are
  // below 30 here, and moved inputs are rounded too: 1e-5 each.
  double magnitude = 0;
  loss.Value(&magnitude);
  const double tolerance = 2 * kUnit * magnitude / kStep + 2e-5;
  const auto expect_slopes = [&](RandomTensor& tensor, int64_t n_token, int64_t n_head, int64_t d,
                                 const OutputView& gradient, const std::string& name) {
    for (int64_t t = 0; t < n_token; t += 5) {
      for (int64_t h = 0; h < n_head; ++h) {
        for (int64_t i = 0; i < d; i += 2) {
          auto* row = reinterpret_cast<float*>(const_cast<uint8_t*>(tensor.view().Row(0, t, h)));
          EXPECT_NEAR(gradient.Row(0, t, h)[i], loss.SlopeOf(row[i]), tolerance) << what << " " << name << " " << t;
        }
      }
    }
  };
  expect_slopes(step.problem.q, in.n_query, in.n_head, in.d_k, gradients.view.d_q, "d_q");
  expect_slopes(step.problem.k, in.n_key, in.n_head_kv, in.d_k, gradients.view.d_k, "d_k");
  expect_slopes(step.problem.v, in.n_key, in.n_head_kv, in.d_v, gradients.view.d_v, "d_v");

  // The mask is shared by the heads, so its gradient is the sum over theirs.
  for (int64_t j = 0; j < 3; ++j) {
    const KeyIndex key = selection.keys[j];
    double sum = 0;
    for (int64_t head = 0; head < in.n_head; ++head) sum += gradients.scores[selection.row_offsets[head] + j];
    EXPECT_NEAR(sum, loss.SlopeOf(step.problem.mask_f32[key]), tolerance) << what << " mask of key " << key;
  }
  // d_scale is some 100 times the others, and so are its derivatives.
  EXPECT_NEAR(gradients.scale, loss.SlopeOf(step.problem.input.scale), 100 * tolerance) << what << " d_scale";
}

TEST_F(BackwardTest, ReferenceEqualsFiniteDifferencesOfTheForwardPass) {
  for (Activation activation : {Activation::kSoftmax, Activation::kRelu}) {
    for (float softcap : {0.0F, 3.0F}) {
      for (float dropout : {0.0F, 0.4F}) {
        ExpectFiniteDifferences(activation, softcap, dropout,
                                std::string(activation == Activation::kRelu ? "relu" : "softmax") + " cap " +
                                    std::to_string(softcap) + " dropout " + std::to_string(dropout));
      }
    }
  }
}

TEST_F(BackwardTest, NumbersThatAreNotFiniteStayWhereTheyTakePart) {
  for (const float bad : {kNan, kInf, -kInf, 3e38F}) {
    for (int what = 0; what < 4; ++what) {
      const Shape shape{.n_query = 12, .n_key = 60, .d_k = 16, .d_v = 16, .mask = Shape::Mask::kCausal};
      Step step(shape, 700, {.k = 8}, nullptr);
      const KeyIndex key = step.selection.keys[step.selection.row_offsets[4]];  // of query 1, head 0
      if (what == 0) step.problem.q.Set(0, 1, 0, 3, bad);
      if (what == 1) step.problem.k.Set(0, key, 0, 3, bad);
      if (what == 2) step.problem.v.Set(0, key, 0, 3, bad);
      if (what == 3) step.d_out.Set(0, 1, 0, 3, bad);
      Gradients got(step.input(), step.selection.keys.size());
      ASSERT_TRUE(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), got.view,
                                    ThreadExecutor(2).executor())
                      .ok());
      EXPECT_FALSE(got.IsUntouched());
      // Heads 2 and 3 read the other KV head.
      for (int64_t query = 0; query < shape.n_query; ++query) {
        for (int64_t head = 2; head < 4; ++head) {
          for (int64_t i = 0; i < shape.d_k; ++i) {
            ASSERT_TRUE(std::isfinite(got.view.d_q.Row(0, query, head)[i])) << what << " " << bad;
          }
        }
      }
      for (int64_t j = 0; j < shape.n_key; ++j) {
        for (int64_t i = 0; i < shape.d_k; ++i) {
          ASSERT_TRUE(std::isfinite(got.view.d_k.Row(0, j, 1)[i])) << what << " " << bad;
          ASSERT_TRUE(std::isfinite(got.view.d_v.Row(0, j, 1)[i])) << what << " " << bad;
        }
      }
    }
  }
}

TEST_F(BackwardTest, AcceptsEmptyInputsAndRowsAndClearsTheirGradients) {
  const auto expect_zeros = [](const Step& step, const std::string& what) {
    Gradients got(step.input(), step.selection.keys.size());
    ASSERT_EQ(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), got.view,
                                SerialExecutor())
                  .message(),
              "")
        << what;
    const auto expect = [&](const OutputView& view, int64_t n_token, int64_t n_head, int64_t d) {
      for (int64_t row = 0; row < step.input().n_batch * n_token * n_head; ++row) {
        const float* numbers = view.Row(0, row / n_head, row % n_head);
        EXPECT_TRUE(std::all_of(numbers, numbers + d, [](float x) { return x == 0.0F; })) << what;
      }
    };
    expect(got.view.d_q, step.input().n_query, 4, 24);
    expect(got.view.d_k, step.input().n_key, 2, 24);
    expect(got.view.d_v, step.input().n_key, 2, 20);
    EXPECT_EQ(got.scale, 0.0) << what;
  };
  expect_zeros(Step({.n_query = 0}, 1, {}, nullptr), "no queries");
  expect_zeros(Step({.n_key = 0}, 1, {}, nullptr), "no keys");
  expect_zeros(Step({.n_batch = 0}, 1, {}, nullptr), "no batches");
  expect_zeros(Step({.mask = Shape::Mask::kAllHidden}, 1, {}, nullptr), "rows that see nothing");
}

TEST_F(BackwardTest, RefusesWhatIsOutOfRangeAndTouchesNothing) {
  const auto expect_refused =
      [](const std::function<void(AttentionInput&, Selection&, TensorView&, AttentionGradients&)>& spoil,
         const std::string& message) {
        Step step({.n_query = 300}, 800, {.k = 4}, nullptr);
        Gradients gradients(step.input(), step.selection.keys.size());
        AttentionInput input = step.input();
        TensorView d_out = step.d_out.view();
        AttentionGradients view = gradients.view;
        spoil(input, step.selection, d_out, view);
        for (const ThreadExecutor& threads : {ThreadExecutor(1), ThreadExecutor(3)}) {
          const Status status =
              AttentionBackward(input, step.options, step.selection.View(), d_out, view, threads.executor());
          EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << message;
          EXPECT_EQ(status.message(), message);
        }
        const Status status = ReferenceAttentionBackward(input, step.options, step.selection.View(), d_out, view);
        EXPECT_EQ(status.message(), message);
        EXPECT_TRUE(gradients.IsUntouched()) << message;
      };
  using In = AttentionInput;
  using Sel = Selection;
  using View = TensorView;
  using Grad = AttentionGradients;
  expect_refused([](In& in, Sel&, View&, Grad&) { in.d_k = 0; },
                 "d_k=0 is out of range: it must be from 1 to " + std::to_string(kMaxHeadSize));
  expect_refused([](In& in, Sel&, View&, Grad&) { in.dropout_p = 1.0F; },
                 "dropout_p=1.000000 is out of range: it must be from 0 to below 1");
  expect_refused([](In&, Sel&, View& d_out, Grad&) { d_out.type = DataType::kF16; }, "d_out.type must be f32");
  expect_refused([](In&, Sel&, View& d_out, Grad&) { d_out.data = nullptr; }, "d_out.data is null");
  expect_refused([](In&, Sel&, View&, Grad& gradients) { gradients.d_k.head_stride = 92; },
                 "d_k has overlapping rows: each stride must be at least 4 * 24 = 96 bytes");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets.pop_back(); },
                 "selection.row_offsets has 1200 numbers: it must have n_batch * n_query * n_head + 1 = 1201");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets = {}; },
                 "selection.row_offsets has 0 numbers: it must have n_batch * n_query * n_head + 1 = 1201");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets[0] = -4; },
                 "selection.row_offsets[0]=-4 must be 0");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets[7] = 23; },
                 "selection.row_offsets[7]=23 is below selection.row_offsets[6]=24: offsets must ascend");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.row_offsets[1200] += 1; },
                 "selection.row_offsets[1200]=4801 must be the number of selection.keys, 4800");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.weights.pop_back(); },
                 "selection.weights has 4799 numbers: it must have as many as selection.keys, 4800");
  expect_refused(
      [](In&, Sel& selection, View&, Grad&) {
        selection.keys[4799] = 100;
        selection.keys[4003] = 1 << 30;  // the first is named
        selection.keys[4002] = 98;
      },
      "selection.keys[4003]=1073741824 of row 1000 must be from 99 to 99: keys ascend within a row and are below "
      "n_key");
  expect_refused([](In&, Sel& selection, View&, Grad&) { selection.keys[8] = -1; },
                 "selection.keys[8]=-1 of row 2 must be from 0 to 99: keys ascend within a row and are below n_key");
  expect_refused(
      [](In&, Sel& selection, View&, Grad&) {
        selection.keys[9] = 7;
        selection.keys[10] = 7;
        selection.keys[8] = 3;
      },
      "selection.keys[10]=7 of row 2 must be from 8 to 99: keys ascend within a row and are below n_key");
}

TEST_F(BackwardTest, RefusesAnExecutorThatCannotRun) {
  const Step step({}, 1, {}, nullptr);
  Gradients gradients(step.input(), step.selection.keys.size());
  EXPECT_EQ(AttentionBackward(step.input(), step.options, step.selection.View(), step.d_out.view(), gradients.view, {})
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(gradients.IsUntouched());
}

}  // namespace
}  // namespace topk
