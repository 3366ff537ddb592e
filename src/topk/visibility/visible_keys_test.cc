// Streams of visible keys: every key once, in order, whatever the mask's density and however much is taken at a time.
#include "topk/visibility/visible_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "topk/load/pack.h"
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

}  // namespace
}  // namespace topk
