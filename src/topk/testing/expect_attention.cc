#include "topk/testing/expect_attention.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "topk/testing/random_input.h"
#include "topk/testing/thread_executor.h"

namespace topk::testing {

namespace {

// Weights sum to 1, so an output is off by at most about (e_s + count * u) * max|v|; e_s, the scan's error, is below
// 1e-5 for the scores here.
constexpr float kTolerance = 2e-4F;

void ExpectClose(std::span<const float> got, std::span<const float> want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << what << " at " << i << ": " << got[i] << " is not NaN";
    } else if (std::isinf(want[i])) {
      ASSERT_EQ(got[i], want[i]) << what << " at " << i;
    } else {
      ASSERT_NEAR(got[i], want[i], kTolerance * std::max(1.0F, std::abs(want[i]))) << what << " at " << i;
    }
  }
}

// What each problem is computed with. Sanitizers are slow, so they leave out what shows them nothing new: races do not
// depend on the SIMD target and need two threads, and the scan that kAuto chooses is one of the others.
struct Ways {
  std::vector<const char*> targets = SimdTargets();
  std::vector<int> thread_counts = {1, 3};
  std::vector<ScanMode> scans = {ScanMode::kF32, ScanMode::kInt8, ScanMode::kInt16, ScanMode::kAuto};

  Ways() {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    scans.pop_back();
#endif
#ifdef __SANITIZE_THREAD__
    targets.resize(1);
    thread_counts = {3};
#endif
  }
};

bool MayRunDense(const TopKOptions& options) {
  return (!options.sparse && options.crossover > 0) || (options.min_mass > 0 && options.dense_beyond_max_k);
}

}  // namespace

void ExpectEqualsReference(const AttentionInput& input, TopKOptions options, const std::string& what) {
  OutputTensor expected(input);
  Selection expected_selection;
  Statistics expected_statistics;
  std::vector<float> expected_mass(static_cast<size_t>(input.n_batch * input.n_query * input.n_head));
  ASSERT_EQ(ReferenceAttention(input, options,
                               {expected.view(), &expected_selection, &expected_statistics, expected_mass.data()})
                .message(),
            "")
      << what;
  OutputTensor expected_plain = expected;
  std::vector<float> expected_plain_mass = expected_mass;
  if (MayRunDense(options)) {  // no row does where the selection is asked for
    ASSERT_TRUE(ReferenceAttention(input, options,
                                   {expected_plain.view(), nullptr, &expected_statistics, expected_plain_mass.data()})
                    .ok());
  }
  const auto expect_equal = [&](const Executor& executor, const std::string& where) {
    OutputTensor out(input);
    Selection selection;
    std::vector<float> mass(expected_mass.size());
    ASSERT_EQ(Attention(input, options, {out.view(), &selection, nullptr, mass.data()}, executor).message(), "")
        << where;
    ASSERT_EQ(selection.row_offsets, expected_selection.row_offsets) << where;
    ASSERT_EQ(selection.keys, expected_selection.keys) << where;
    ExpectClose(selection.weights, expected_selection.weights, where + " weights");
    ExpectClose(out.numbers, expected.numbers, where + " with selection");
    ExpectClose(mass, expected_mass, where + " mass");

    OutputTensor plain(input);
    Statistics statistics;
    ASSERT_TRUE(Attention(input, options, {plain.view(), nullptr, &statistics, mass.data()}, executor).ok()) << where;
    ExpectClose(plain.numbers, expected_plain.numbers, where);
    ExpectClose(mass, expected_plain_mass, where + " mass without selection");
    EXPECT_EQ(statistics.rows, expected_statistics.rows) << where;
    EXPECT_EQ(statistics.dense_rows, expected_statistics.dense_rows) << where;
    EXPECT_EQ(statistics.keys_seen, expected_statistics.keys_seen) << where;
    EXPECT_EQ(statistics.keys_kept, expected_statistics.keys_kept) << where;
    EXPECT_EQ(statistics.mass_rows, expected_statistics.mass_rows) << where;
    EXPECT_NEAR(statistics.MeanMass(), expected_statistics.MeanMass(), 1e-4) << where;
    EXPECT_NEAR(statistics.mass_min, expected_statistics.mass_min, 1e-4) << where;
  };
  const Ways ways;
  for (const char* target : ways.targets) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int n_threads : ways.thread_counts) {
      for (ScanMode scan : ways.scans) {
        options.scan = scan;
        const ThreadExecutor threads(n_threads);
        const Executor executor = n_threads == 1 ? SerialExecutor() : threads.executor();
        ASSERT_NO_FATAL_FAILURE(expect_equal(executor, what + " on " + target + " with " + std::to_string(n_threads) +
                                                           " threads, " + FormatOptions(options)));
      }
    }
  }
}

}  // namespace topk::testing
