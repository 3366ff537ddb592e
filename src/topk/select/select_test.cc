// The selection primitives against their references on every SIMD target, and Candidates against a sort.
#include "topk/select/select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "topk/carver.h"
#include "topk/load/pack.h"
#include "topk/select/candidates.h"
#include "topk/testing/aligned_array.h"

namespace topk {
namespace {

using testing::AlignedArray;

constexpr float kHidden = -std::numeric_limits<float>::infinity();

enum class Scores {
  kRandom,
  kAscending,
  kDescending,
  kConstant,
  kDenormal,
  kHugeAndTiny,
  kMostlyHidden,
  kFewDistinct,
  kUpToMinusZero,
};
constexpr Scores kAllScores[] = {Scores::kRandom,       Scores::kAscending,   Scores::kDescending,
                                 Scores::kConstant,     Scores::kDenormal,    Scores::kHugeAndTiny,
                                 Scores::kMostlyHidden, Scores::kFewDistinct, Scores::kUpToMinusZero};

// count scores, room for a vector more, as the primitives ask for.
AlignedArray<float> MakeScores(Scores kind, int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gaussian;
  AlignedArray<float> scores(count + kMaxLanes);
  for (int64_t j = 0; j < count; ++j) {
    switch (kind) {
      case Scores::kRandom: scores[j] = gaussian(random); break;
      case Scores::kAscending: scores[j] = static_cast<float>(j) - 100.0F; break;
      case Scores::kDescending: scores[j] = 100.0F - static_cast<float>(j); break;
      case Scores::kConstant: scores[j] = -1.5F; break;
      case Scores::kDenormal: scores[j] = static_cast<float>(static_cast<int>(random() % 9) - 4) * 1e-45F; break;
      case Scores::kHugeAndTiny: scores[j] = (random() % 2 != 0 ? 1e30F : 1e-30F) * gaussian(random); break;
      case Scores::kMostlyHidden: scores[j] = random() % 16 == 0 ? gaussian(random) : kHidden; break;
      case Scores::kFewDistinct: scores[j] = static_cast<float>(random() % 3); break;
      // What products of negative and positive numbers come to that are too small for f32.
      case Scores::kUpToMinusZero: scores[j] = random() % 16 == 0 ? -0.0F : -std::abs(gaussian(random)); break;
    }
  }
  return scores;
}

class SelectTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }
};

TEST_F(SelectTest, FindsAFloorForTheNumberAskedFor) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (Scores kind : kAllScores) {
      if (kind == Scores::kMostlyHidden) continue;
      for (int64_t count : {1, 17, 1024}) {
        for (int64_t least : {int64_t{1}, count / 3, count}) {
          if (least == 0) continue;
          const int64_t most = std::min(count, least + least / 8);
          AlignedArray<float> scores = MakeScores(kind, count, 5);
          const float floor = FloorFor(scores.data(), count, least, most);
          const auto reaches = [](float least_score) { return [=](float x) { return x >= least_score; }; };
          const auto reached = std::count_if(scores.data(), scores.data() + count, reaches(floor));
          const float above = std::nextafter(floor, std::numeric_limits<float>::infinity());
          const auto reached_above = std::count_if(scores.data(), scores.data() + count, reaches(above));
          EXPECT_GE(reached, least) << target;
          EXPECT_TRUE(reached <= most || reached_above < least) << target << " " << reached << " of " << count;
        }
      }
    }
  }
}

TEST_F(SelectTest, ListsTheKeysOfItsReference) {
  std::mt19937_64 random(7);
  constexpr int64_t kBlocks = 9;
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    std::vector<uint64_t> survivors(kBlocks);
    for (uint64_t& bits : survivors) {
      bits = random();
      bits &= random();  // a quarter of the keys
    }
    survivors[0] = ~uint64_t{0};
    survivors[1] = 0;
    survivors[2] = uint64_t{0xFF} << 56;  // as many as are listed at once
    std::vector<KeyIndex> got(kBlocks * kBlockKeys + kMaxLanes);
    std::vector<KeyIndex> want(got.size());
    const int64_t count = ListKeys(survivors.data(), kBlocks, 640, got.data());
    ASSERT_EQ(count, ListKeysReference(survivors.data(), kBlocks, 640, want.data())) << target;
    got.resize(count);
    want.resize(count);
    EXPECT_EQ(got, want) << target;
  }
}

TEST_F(SelectTest, FilterKeepsTheSameKeysInOrderAsItsReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (Scores kind : kAllScores) {
      for (float floor : {std::numeric_limits<float>::lowest(), -1.5F, 0.0F, 0.7F, 1e37F}) {
        AlignedArray<float> block = MakeScores(kind, kBlockKeys, 3);
        std::vector<float> scores(2 * kBlockKeys), expected_scores(2 * kBlockKeys);
        std::vector<KeyIndex> keys(2 * kBlockKeys), expected_keys(2 * kBlockKeys);
        const int64_t expected =
            FilterReference(block.data(), floor, 500, expected_scores.data(), expected_keys.data());
        ASSERT_EQ(Filter(block.data(), floor, 500, scores.data(), keys.data()), expected) << target;
        scores.resize(expected), expected_scores.resize(expected);
        keys.resize(expected), expected_keys.resize(expected);
        EXPECT_EQ(scores, expected_scores) << target;
        EXPECT_EQ(keys, expected_keys) << target;
      }
    }
  }
}

TEST_F(SelectTest, CompactKeepsTheSameKeysInOrderAsItsReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t count : {0, 1, 15, 16, 17, 63, 300}) {
      AlignedArray<float> scores = MakeScores(Scores::kRandom, count, 5);
      AlignedArray<KeyIndex> keys(count + kMaxLanes);
      for (int64_t j = 0; j < count; ++j) keys[j] = static_cast<KeyIndex>(3 * j);
      AlignedArray<float> expected_scores = scores;
      AlignedArray<KeyIndex> expected_keys = keys;
      const int64_t expected = CompactReference(0.1F, count, expected_scores.data(), expected_keys.data());
      ASSERT_EQ(Compact(0.1F, count, scores.data(), keys.data()), expected) << target << " " << count;
      EXPECT_TRUE(std::equal(scores.data(), scores.data() + expected, expected_scores.data())) << target;
      EXPECT_TRUE(std::equal(keys.data(), keys.data() + expected, expected_keys.data())) << target;
    }
  }
}

TEST_F(SelectTest, KthLargestEqualsASort) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (Scores kind : kAllScores) {
      for (int64_t count : {1, 2, 15, 16, 17, 100, 513, 1025}) {
        for (int64_t k : {int64_t{1}, int64_t{2}, count / 2, count - 1, count}) {
          if (k < 1 || k > count) continue;
          AlignedArray<float> scores = MakeScores(kind, count, 7);
          const float expected = KthLargestReference(scores.data(), count, k);
          if (expected == kHidden) continue;  // its contract asks for k that are not
          const auto where = std::string(target) + " scores " + std::to_string(static_cast<int>(kind)) + " count " +
                             std::to_string(count) + " k " + std::to_string(k);
          EXPECT_EQ(KthLargest(scores.data(), count, k), expected) << where;
          EXPECT_EQ(KthLargestOfTail(scores.data(), count, k), expected) << where;
        }
      }
    }
  }
}

TEST_F(SelectTest, GuessedFloorsFitGaussianScores) {
  std::mt19937 random(17);
  std::normal_distribution<float> gaussian(3.0F, 0.5F);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t n_shown : {100, 512, 2000}) {
      for (int64_t k : {int64_t{16}, int64_t{64}, n_shown / 2}) {
        constexpr int kRows = 200;
        int n_enough = 0;
        for (int row = 0; row < kRows; ++row) {
          const int64_t count = PadToBlocks(n_shown);
          AlignedArray<float> scores(count);
          std::fill_n(scores.data(), count, kHidden);
          for (int64_t j = 0; j < n_shown; ++j) scores[j] = gaussian(random);
          const float floor = GuessFloorFor(scores.data(), count, n_shown, k);
          const auto reached =
              std::count_if(scores.data(), scores.data() + count, [floor](float x) { return x >= floor; });
          n_enough += reached >= k ? 1 : 0;
          // Twice the distance that is meant, and as much again by chance.
          const auto spread = static_cast<double>(k) * (1.0 - static_cast<double>(k) / static_cast<double>(n_shown));
          ASSERT_LE(static_cast<double>(reached - k), 2 + 6 * std::sqrt(spread))
              << target << " " << n_shown << " " << k;
        }
        EXPECT_GE(n_enough, kRows * 9 / 10) << target << " " << n_shown << " " << k;
      }
    }
  }
}

TEST_F(SelectTest, GuessedFloorsAreFinite) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (Scores kind : kAllScores) {
      AlignedArray<float> scores = MakeScores(kind, 512, 19);
      const auto n_shown = std::count_if(scores.data(), scores.data() + 512, [](float x) { return x != kHidden; });
      for (int64_t k : {int64_t{1}, n_shown / 2, n_shown - 1}) {
        if (k < 1) continue;
        EXPECT_TRUE(std::isfinite(GuessFloorFor(scores.data(), 512, n_shown, k)))
            << target << " scores " << static_cast<int>(kind) << " k " << k;
      }
    }
  }
}

// The scores of these tests are their own canonical scores.
class TableScorer final : public CanonicalScorer {
 public:
  explicit TableScorer(const std::vector<double>& scores) : scores_(scores) {}
  void Score(std::span<const KeyIndex> keys, double* scores) const override {
    for (size_t j = 0; j < keys.size(); ++j) scores[j] = scores_[keys[j]];
  }

 private:
  const std::vector<double>& scores_;
};

// Streams `exact`, blurred by up to `error`, through Candidates, or offers all at once; returns the keys kept, or none
// if it gave up.
std::vector<KeyIndex> KeepBestOf(const std::vector<double>& exact, int64_t budget, float error, uint32_t seed,
                                 bool at_once) {
  const auto n = static_cast<int64_t>(exact.size());
  const int64_t capacity = Candidates::Capacity(budget, n);
  AlignedArray<float> scores(capacity);
  AlignedArray<KeyIndex> keys(capacity);
  Candidates candidates;
  candidates.Start(budget, capacity, scores.data(), keys.data());
  candidates.SetError(error);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> blur(-0.99 * error, 0.99 * error);
  const int64_t count = PadToBlocks(n);
  AlignedArray<float> blurred(count + kMaxLanes);
  std::fill_n(blurred.data(), count, kHidden);
  int64_t n_shown = 0;
  for (int64_t j = 0; j < n; ++j) {
    if (!std::isfinite(exact[j])) continue;
    blurred[j] = static_cast<float>(exact[j] + (error > 0 ? blur(random) : 0.0));
    ++n_shown;
  }
  if (at_once) {
    candidates.AppendWhole(blurred.data(), count, n_shown, 0);
  } else {
    for (int64_t j = 0; j < count; j += kBlockKeys) candidates.Append(blurred.data() + j, static_cast<KeyIndex>(j));
  }
  if (!candidates.is_exact()) return {};
  AlignedArray<KeyIndex> undecided_keys(capacity);
  AlignedArray<double> undecided_scores(capacity);
  AlignedArray<ScoredKey> ranked(capacity);
  candidates.KeepBest(budget, TableScorer(exact), {undecided_keys.data(), undecided_scores.data(), ranked.data()});
  return {candidates.keys(), candidates.keys() + candidates.count()};
}

std::vector<KeyIndex> SortedBest(const std::vector<double>& exact, int64_t budget) {
  std::vector<ScoredKey> ranked;
  for (size_t j = 0; j < exact.size(); ++j) {
    if (std::isfinite(exact[j])) ranked.push_back({exact[j], static_cast<KeyIndex>(j)});
  }
  std::sort(ranked.begin(), ranked.end(), RanksBefore);
  ranked.resize(std::min<size_t>(ranked.size(), budget));
  std::vector<KeyIndex> keys;
  for (const ScoredKey& s : ranked) keys.push_back(s.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST_F(SelectTest, CandidatesKeepTheExactBestWhateverTheErrorOfTheScan) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (Scores kind : kAllScores) {
      for (float error : {0.0F, 0.001F, 0.05F}) {
        for (int64_t budget : {1, 7, 64, 600}) {
          const AlignedArray<float> scores = MakeScores(kind, 2000, 11);
          const std::vector<double> exact(scores.data(), scores.data() + 2000);
          for (bool at_once : {false, true}) {
            const std::vector<KeyIndex> kept = KeepBestOf(exact, budget, error, 13, at_once);
            if (kept.empty()) {
              // Giving up is for ties alone.
              ASSERT_TRUE(kind == Scores::kConstant || kind == Scores::kDenormal || kind == Scores::kFewDistinct ||
                          kind == Scores::kUpToMinusZero || (kind == Scores::kHugeAndTiny && error > 0))
                  << static_cast<int>(kind) << " budget " << budget;
              continue;
            }
            ASSERT_EQ(kept, SortedBest(exact, budget))
                << target << " scores " << static_cast<int>(kind) << " error " << error << " budget " << budget;
          }
        }
      }
    }
  }
}

TEST_F(SelectTest, FloorsProvenWithSmallErrorsMakeRoomForLargerOnes) {
  constexpr int64_t kBudget = 4;
  constexpr KeyIndex kLate = 100 * kBlockKeys;
  const int64_t capacity = Candidates::Capacity(kBudget, kLate + kBlockKeys);
  AlignedArray<float> kept(capacity);
  std::vector<KeyIndex> keys(static_cast<size_t>(capacity));
  Candidates candidates;
  candidates.Start(kBudget, capacity, kept.data(), keys.data());
  candidates.SetError(1e-6F);
  AlignedArray<float> scores(kBlockKeys);
  std::fill_n(scores.data(), kBlockKeys, -std::numeric_limits<float>::infinity());
  std::fill_n(scores.data(), kBudget, 1.0F);
  candidates.Append(scores.data(), 0);
  candidates.DropHopeless();
  ASSERT_GT(candidates.floor(), 0.9999F);
  candidates.SetError(1e-3F);  // what follows may be larger than it seems
  std::fill_n(scores.data(), kBudget, 1.0F - 5e-4F);
  candidates.Append(scores.data(), kLate);
  EXPECT_EQ(candidates.count(), 2 * kBudget);
}

TEST_F(SelectTest, RanksNanLastAndEqualScoresByKey) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<ScoredKey> keys = {{nan, 0}, {1.0, 5}, {-1e300, 2}, {1.0, 3}, {nan, 1}, {2.0, 9}};
  std::sort(keys.begin(), keys.end(), RanksBefore);
  std::vector<KeyIndex> order;
  for (const ScoredKey& s : keys) order.push_back(s.key);
  EXPECT_EQ(order, (std::vector<KeyIndex>{9, 3, 5, 2, 0, 1}));
}

}  // namespace
}  // namespace topk
