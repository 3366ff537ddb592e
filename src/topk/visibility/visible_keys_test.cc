// Streams of visible keys: every key once, in order, whatever the mask's density and however much is taken at a time.
#include "topk/visibility/visible_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "topk/load/pack.h"
#include "topk/testing/expect_visibility.h"
#include "topk/visibility/visibility.h"

namespace topk {
namespace {

TEST(VisibleKeysTest, StreamsEveryVisibleKeyInOrder) {
  ScratchMemory memory;
  Carver size(nullptr);
  VisibleKeysScratch::Take(size);
  ASSERT_TRUE(memory.Reserve(size.used()));
  Carver carver(memory.data());
  const VisibleKeysScratch scratch = VisibleKeysScratch::Take(carver);
  std::mt19937 random(1);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (KeyIndex n : {1, 63, 65, 4095, 4096, 4097, 20000}) {
      for (double density : {0.0, 0.001, 0.1, 0.9, 1.0}) {
        std::bernoulli_distribution is_visible(density);
        std::vector<float> mask;
        for (KeyIndex j = 0; j < n; ++j) {
          mask.push_back(is_visible(random) ? -0.5F : -std::numeric_limits<float>::infinity());
        }
        const auto* row = reinterpret_cast<const uint8_t*>(mask.data());
        const KeyIndex begin = std::min<KeyIndex>(n, 7);
        std::vector<KeyIndex> want;
        for (KeyIndex j = begin; j < n; ++j) {
          if (IsVisible(DataType::kF32, row, j)) want.push_back(j);
        }
        std::vector<KeyIndex> got;
        VisibleKeys keys(scratch, DataType::kF32, row, begin, n);
        for (auto listed = keys.Peek(); !listed.empty(); listed = keys.Peek()) {
          ASSERT_GE(listed.size(), std::min<size_t>(2 * kBlockKeys, want.size() - got.size()));
          const auto count = std::min<int64_t>(kBlockKeys, static_cast<int64_t>(listed.size()));
          got.insert(got.end(), listed.begin(), listed.begin() + count);
          keys.Skip(count);
        }
        ASSERT_EQ(got, want) << target << " n " << n << " density " << density;
      }
    }
  }
  UseSimdTarget(nullptr);
}

TEST(VisibleKeysTest, AListThatHoldsAllTellsTheSameVisibility) {
  std::mt19937 random(1);
  constexpr KeyIndex kEnd = 9000;
  constexpr int64_t kMost = 500;
  constexpr KeyIndex kUnwritten = -7;
  const float hidden = -std::numeric_limits<float>::infinity();
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (const float bias : {0.0F, -0.0F, -0.5F, std::numeric_limits<float>::quiet_NaN(), -hidden}) {
      for (const int64_t n_visible : {int64_t{0}, int64_t{1}, int64_t{7}, kMost - 1, kMost, kMost + 1, int64_t{3000}}) {
        for (const bool is_range : {false, true}) {
          std::vector<KeyIndex> keys(kEnd);
          std::iota(keys.begin(), keys.end(), 0);
          if (!is_range) std::shuffle(keys.begin(), keys.end(), random);
          std::vector<float> mask(kEnd + 100, hidden);
          for (int64_t i = 0; i < n_visible; ++i) mask[keys[i]] = i % 3 == 2 ? bias : 0.0F;
          mask[kEnd] = 0.0F;  // behind the end
          const auto* row = reinterpret_cast<const uint8_t*>(mask.data());
          std::vector<KeyIndex> list(ListCapacity(kMost) + 1, kUnwritten);
          const Visibility got = ListVisibility(DataType::kF32, row, kEnd, 4, 64, kMost, list.data());
          const Visibility want = FindVisibilityReference(DataType::kF32, row, kEnd, 4, 64);
          const std::string what =
              std::to_string(n_visible) + " visible, bias " + std::to_string(bias) + " on " + target;
          EXPECT_EQ(list.back(), kUnwritten) << what;
          ASSERT_EQ(got.count, want.count) << what;
          if (n_visible == 0) continue;
          testing::ExpectSame(got, want, what);
          ASSERT_EQ(got.keys != nullptr, n_visible <= kMost) << what;
          if (got.keys == nullptr) continue;
          const auto middle = static_cast<KeyIndex>((want.begin + want.end) / 2);
          std::vector<KeyIndex> streamed;
          for (const auto& [begin, end] : {std::pair(KeyIndex{0}, middle), std::pair(middle, kEnd)}) {
            VisibleKeys stream(got, begin, end);
            const auto all = stream.Peek();
            streamed.insert(streamed.end(), all.begin(), all.end());
            stream.Skip(static_cast<int64_t>(all.size()));
            EXPECT_TRUE(stream.Peek().empty()) << what;
          }
          std::sort(keys.begin(), keys.begin() + n_visible);
          EXPECT_EQ(streamed, std::vector<KeyIndex>(keys.begin(), keys.begin() + n_visible)) << what;
        }
      }
    }
  }
  UseSimdTarget(nullptr);
}

}  // namespace
}  // namespace topk
