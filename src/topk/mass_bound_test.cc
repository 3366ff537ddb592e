// What the mass of a selection guarantees: every number of a row's output differs from that of full attention by at
// most 2 (1 - mass) max|v|. Full attention and the mass of each row are computed here from all keys, in f64.
//
// With p the full softmax, S the selection and m = sum_S p its mass, out = sum_S p v / m. So
//   out - full = (1 / m - 1) sum_S p v - sum_rest p v,
// and the two sums are at most m max|v| and (1 - m) max|v|. A sink logit only adds to both denominators.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/numeric.h"
#include "topk/testing/expect_attention.h"
#include "topk/testing/random_input.h"
#include "topk/testing/thread_executor.h"

namespace topk {
namespace {

using testing::OutputTensor;
using testing::RandomProblem;
using testing::Shape;

// Of outputs, relative to max|v|: as in expect_attention.cc.
constexpr double kRounding = 2e-4;
// Of a mass that is summed in f32.
constexpr double kMassRounding = 1e-5;

class MassBoundTest : public testing::TargetTest {};

// Full attention: its output, and the softmax over all visible keys of each row.
struct Full {
  explicit Full(const AttentionInput& input) : out(input) {
    const Status status = ReferenceAttention(input, {.k = input.n_key}, {out.view(), &softmax, nullptr});
    EXPECT_TRUE(status.ok()) << status.message();
  }

  // The share of the row's softmax that these keys have.
  double Mass(int64_t row, std::span<const KeyIndex> kept) const {
    double all = 0;
    double sum = 0;
    for (int64_t i = softmax.row_offsets[row]; i < softmax.row_offsets[row + 1]; ++i) {
      const double p = softmax.weights[i];
      all += p;
      if (std::binary_search(kept.begin(), kept.end(), softmax.keys[i])) sum += p;
    }
    return all > 0 ? sum / all : 1;
  }

  // The row's shares, largest first.
  std::vector<double> Shares(int64_t row) const {
    std::vector<double> shares(softmax.weights.begin() + softmax.row_offsets[row],
                               softmax.weights.begin() + softmax.row_offsets[row + 1]);
    std::sort(shares.begin(), shares.end(), std::greater<>());
    return shares;
  }

  OutputTensor out;
  Selection softmax;
};

// max|v| over the keys that a row sees.
double LargestValue(const AttentionInput& input, const Full& full, int64_t row) {
  const int64_t head = row % input.n_head / (input.n_head / input.n_head_kv);
  double largest = 0;
  for (int64_t i = full.softmax.row_offsets[row]; i < full.softmax.row_offsets[row + 1]; ++i) {
    const uint8_t* v = input.v.Row(0, full.softmax.keys[i], head);
    for (int64_t j = 0; j < input.d_v; ++j) {
      largest = std::max(largest, std::abs(static_cast<double>(ReadNumber(input.v.type, v, j))));
    }
  }
  return largest;
}

// By how much a row differs from full attention, as a multiple of max|v|.
double Deviation(const AttentionInput& input, const Full& full, const OutputTensor& out, int64_t row) {
  double largest = 0;
  for (int64_t i = row * input.d_v; i < (row + 1) * input.d_v; ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(out.numbers[i]) - full.out.numbers[i]));
  }
  const double value = LargestValue(input, full, row);
  return value > 0 ? largest / value : largest;
}

// One query is a decode; 70 are a prefill.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const int64_t n_query : {1, 70}) {
    for (const DataType type : {DataType::kF32, DataType::kF16}) {
      shapes.push_back({.n_query = n_query, .n_key = 300, .d_k = 16, .d_v = 16, .k_type = type, .v_type = type});
    }
    shapes.push_back(
        {.n_query = n_query, .n_key = 300, .d_k = 16, .d_v = 16, .mask = Shape::Mask::kCausal, .sink_logits = true});
    shapes.push_back({.n_query = n_query, .n_key = 300, .d_k = 16, .d_v = 16, .mask = Shape::Mask::kAlibi});
  }
  return shapes;
}

void ForEachTarget(const std::function<void(const std::string&)>& check) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    ASSERT_NO_FATAL_FAILURE(check(target));
  }
}

TEST_F(MassBoundTest, EveryRowIsWithinTheBoundOfItsOwnMass) {
  double closest = 0;
  ForEachTarget([&](const std::string& target) {
    uint32_t seed = 1;
    for (const Shape& shape : Shapes()) {
      const RandomProblem problem(shape, seed++);
      const Full full(problem.input);
      for (const int64_t k : {1, 4, 32}) {
        OutputTensor out(problem.input);
        Selection kept;
        ASSERT_TRUE(Attention(problem.input, {.k = k}, {out.view(), &kept, nullptr}, SerialExecutor()).ok());
        for (int64_t row = 0; row + 1 < static_cast<int64_t>(kept.row_offsets.size()); ++row) {
          const std::span keys(kept.keys.begin() + kept.row_offsets[row],
                               kept.keys.begin() + kept.row_offsets[row + 1]);
          const double bound = 2 * (1 - full.Mass(row, keys));
          const double deviation = Deviation(problem.input, full, out, row);
          ASSERT_LE(deviation, bound + kRounding) << shape.Name() << ", k=" << k << ", row " << row << " on " << target;
          if (bound > 0.1) closest = std::max(closest, deviation / bound);
        }
      }
    }
  });
  EXPECT_GT(closest, 0.3) << "the rows are nowhere near the bound: this test would not notice a wrong one";
}

// The most that the statistics promise, for the three kinds of rows: those whose k best hold the mass, those that take
// more, and those that would take more than max_k and run dense.
TEST_F(MassBoundTest, WithAMassTargetEveryRowKeepsWhatTheStatisticsPromise) {
  constexpr float kMinMass = 0.8F;
  constexpr int64_t kFew = 8;
  constexpr int64_t kMost = 60;
  int64_t few = 0;
  int64_t more = 0;
  int64_t dense = 0;
  ForEachTarget([&](const std::string& target) {
    uint32_t seed = 20;
    for (const Shape& shape : Shapes()) {
      RandomProblem problem(shape, seed++);
      problem.input.scale *= seed % 2 == 0 ? 1 : 4;  // flat rows, and peaked ones
      const Full full(problem.input);
      const testing::ThreadExecutor threads(2);
      OutputTensor out(problem.input);
      Statistics statistics;
      const TopKOptions options = {.k = kFew, .min_mass = kMinMass, .max_k = kMost};
      ASSERT_TRUE(Attention(problem.input, options, {out.view(), nullptr, &statistics}, threads.executor()).ok());
      ASSERT_EQ(statistics.mass_rows, statistics.rows);
      ASSERT_GE(statistics.mass_min, kMinMass - kMassRounding) << shape.Name() << " on " << target;
      ASSERT_LE(statistics.DeviationBound(), 2 * (1 - kMinMass + kMassRounding));
      for (int64_t row = 0; row < statistics.rows; ++row) {
        const std::vector<double> shares = full.Shares(row);
        double mass = 0;
        double all = 0;
        int64_t needed = 0;
        for (const double share : shares) all += share;
        while (needed < static_cast<int64_t>(shares.size()) && (needed < kFew || mass / all < kMinMass)) {
          mass += shares[needed++];
        }
        // Whether a row at the very edge runs dense is a matter of rounding; one key more settles it.
        const bool runs_dense = needed > kMost + 1;
        (runs_dense ? dense : needed > kFew ? more : few) += 1;
        const double bound = runs_dense ? 0 : statistics.DeviationBound();
        ASSERT_LE(Deviation(problem.input, full, out, row), bound + kRounding)
            << shape.Name() << ", row " << row << ", which takes " << needed << " keys, on " << target;
      }
    }
  });
  EXPECT_GT(few, 0);
  EXPECT_GT(more, 0);
  EXPECT_GT(dense, 0);
}

// Values of 1 for the keys that are kept and -1 for all others: a smaller factor than 2 would be wrong.
TEST_F(MassBoundTest, TheBoundIsReached) {
  RandomProblem problem({.n_query = 1, .n_key = 300, .n_head = 1, .n_head_kv = 1, .d_k = 16, .d_v = 16}, 50);
  const TopKOptions options = {.k = 8, .mass = MassMode::kExact};
  Selection kept;
  {
    OutputTensor out(problem.input);
    ASSERT_TRUE(Attention(problem.input, options, {out.view(), &kept, nullptr}, SerialExecutor()).ok());
  }
  for (int64_t key = 0; key < problem.input.n_key; ++key) {
    const bool is_kept = std::binary_search(kept.keys.begin(), kept.keys.end(), key);
    for (int64_t i = 0; i < problem.input.d_v; ++i) problem.v.Set(0, key, 0, i, is_kept ? 1.0F : -1.0F);
  }
  const Full full(problem.input);
  OutputTensor out(problem.input);
  Statistics statistics;
  ASSERT_TRUE(Attention(problem.input, options, {out.view(), nullptr, &statistics}, SerialExecutor()).ok());
  EXPECT_GT(statistics.DeviationBound(), 0.1);
  EXPECT_NEAR(Deviation(problem.input, full, out, 0), statistics.DeviationBound(), kRounding);
}

}  // namespace
}  // namespace topk
