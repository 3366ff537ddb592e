// The scan of q8_0 keys against its references.
#include "topk/scan/scan_q8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "topk/attention.h"
#include "topk/numeric.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

class ScanQ8Test : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }
};

struct Panel {
  explicit Panel(int64_t d) : numbers(Q8PanelNumbers(d)), scales(Q8PanelScales(d)) {}
  Q8Panel view() { return {numbers.data(), scales.data()}; }
  AlignedArray<uint8_t> numbers;
  AlignedArray<float> scales;
};

// Rows of random numbers; every fourth at the extremes, where sums overflow first.
struct Rows {
  Rows(int64_t n_rows, int64_t d, std::mt19937& random) : n(n_rows) {
    std::uniform_int_distribution<int> number(-127, 127);
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t b = 0; b < d / kQ8BlockSize; ++b) {
        for (auto* plane : {&high, &low}) {
          for (int64_t i = 0; i < kQ8BlockSize; ++i) {
            plane->push_back(static_cast<int8_t>(r % 4 == 3 ? 127 : number(random)));
          }
        }
        high_sums.push_back(std::accumulate(high.end() - kQ8BlockSize, high.end(), 0));
        low_sums.push_back(std::accumulate(low.end() - kQ8BlockSize, low.end(), 0));
      }
    }
  }
  Q8Rows view() const { return {high.data(), low.data(), high_sums.data(), low_sums.data(), n}; }
  int64_t n;
  std::vector<int8_t> high, low;
  std::vector<int32_t> high_sums, low_sums;
};

// Sets the scale of a q8_0 block.
void SetScale(RandomTensor& keys, int64_t key, int64_t block, uint16_t f16) {
  auto* row = const_cast<uint8_t*>(keys.view().Row(0, key, 0));
  std::memcpy(row + block * kQ8BlockBytes, &f16, sizeof f16);
}

TEST_F(ScanQ8Test, PacksAsTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {32, 64, 128, 576, 1024}) {
      std::mt19937 random(static_cast<uint32_t>(d));
      RandomTensor keys(DataType::kQ8_0, 1, 80, 2, d, 1);
      keys.FillGaussian(random);
      SetScale(keys, 5, 0, 0x0001);  // subnormal
      for (int64_t count : {1, 5, 63, 64}) {
        SCOPED_TRACE(std::string(target) + " d " + std::to_string(d) + " count " + std::to_string(count));
        Panel panel(d), expected(d);
        const float norm = PackQ8({keys.view(), 3, count}, d, panel.view());
        const float exact = PackQ8Reference({keys.view(), 3, count}, d, expected.view());
        for (int64_t i = 0; i < panel.numbers.size(); ++i) ASSERT_EQ(panel.numbers[i], expected.numbers[i]) << i;
        for (int64_t i = 0; i < panel.scales.size(); ++i) ASSERT_EQ(panel.scales[i], expected.scales[i]) << i;
        EXPECT_GE(norm, std::nextafter(exact, 0.0F));
        EXPECT_LE(norm, exact * (1.0F + 0x1p-15F));
      }
    }
  }
}

TEST_F(ScanQ8Test, TellsOfScalesThatAreNoNumbers) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (uint16_t bad : {uint16_t{0x7C00}, uint16_t{0xFC00}, uint16_t{0x7E00}}) {
      for (int64_t at : {0, 17, 63}) {
        std::mt19937 random(1);
        RandomTensor keys(DataType::kQ8_0, 1, kBlockKeys, 1, 64, 0);
        keys.FillGaussian(random);
        SetScale(keys, at, 1, bad);
        Panel panel(64);
        EXPECT_FALSE(std::isfinite(PackQ8({keys.view(), 0, kBlockKeys}, 64, panel.view()))) << target << " " << at;
        EXPECT_FALSE(std::isfinite(PackQ8Reference({keys.view(), 0, kBlockKeys}, 64, panel.view())));
      }
    }
  }
}

TEST_F(ScanQ8Test, FindsTheSurvivorsOfTheReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    // Without a fused multiply-add a score at the threshold may fall to the other side.
    const bool has_fma = std::string(target) != "SSE4";
    for (int64_t d : {32, 64, 128, 576, 1024}) {
      for (int64_t n_rows : {1, 2, 7, 96}) {
        SCOPED_TRACE(std::string(target) + " d " + std::to_string(d) + " rows " + std::to_string(n_rows));
        std::mt19937 random(static_cast<uint32_t>(d + n_rows));
        RandomTensor keys(DataType::kQ8_0, 1, kBlockKeys, 1, d, 0);
        keys.FillGaussian(random);
        Panel panel(d);
        PackQ8({keys.view(), 0, kBlockKeys}, d, panel.view());
        const Rows rows(n_rows, d, random);
        std::normal_distribution<float> around(0.0F, 9000.0F * std::sqrt(static_cast<float>(d)));
        std::vector<float> thresholds(n_rows);
        for (float& threshold : thresholds) threshold = around(random);
        std::vector<uint64_t> bits(n_rows * kSurvivorStride), expected(bits.size());
        ScanQ8(rows.view(), panel.view(), d, thresholds.data(), bits.data());
        ScanQ8Reference(rows.view(), panel.view(), d, thresholds.data(), expected.data());
        if (has_fma) {
          EXPECT_EQ(bits, expected);
          continue;
        }
        for (int64_t r = 0; r < n_rows; ++r) {
          const float apart = 1e-4F * std::abs(thresholds[r]) + 1.0F;
          std::vector<float> lower = {thresholds[r] - apart}, higher = {thresholds[r] + apart};
          const Q8Rows row = {rows.high.data() + r * d, rows.low.data() + r * d,
                              rows.high_sums.data() + r * d / kQ8BlockSize, rows.low_sums.data() + r * d / kQ8BlockSize,
                              1};
          uint64_t all = 0;
          uint64_t sure = 0;
          ScanQ8Reference(row, panel.view(), d, lower.data(), &all);
          ScanQ8Reference(row, panel.view(), d, higher.data(), &sure);
          EXPECT_EQ(bits[r * kSurvivorStride] & ~all, 0U);
          EXPECT_EQ(sure & ~bits[r * kSurvivorStride], 0U);
        }
      }
    }
  }
}

// Keys and rows at the extremes: the sums of a block are the largest that there are.
TEST_F(ScanQ8Test, DoesNotOverflow) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    constexpr int64_t kSize = 64;
    for (int sign : {-1, 1}) {
      Panel panel(kSize);
      std::fill_n(panel.numbers.data(), panel.numbers.size(), static_cast<uint8_t>(sign < 0 ? 0 : 255));
      std::fill_n(panel.scales.data(), panel.scales.size(), 1.0F);
      const std::vector<int8_t> planes(kSize, 127);
      const std::vector<int32_t> sums(2, 127 * kQ8BlockSize);
      const float score = static_cast<float>(127 * 129) * static_cast<float>(sign < 0 ? -128 : 127) * kSize;
      const std::vector<float> thresholds = {score * (1.0F - static_cast<float>(sign) * 1e-6F),
                                             score * (1.0F + static_cast<float>(sign) * 1e-6F)};
      for (int64_t r : {0, 1}) {
        uint64_t bits = 0;
        ScanQ8({planes.data(), planes.data(), sums.data(), sums.data(), 1}, panel.view(), kSize, &thresholds[r], &bits);
        EXPECT_EQ(bits, r == 0 ? ~uint64_t{0} : 0U) << target << " " << sign;
      }
    }
  }
}

}  // namespace
}  // namespace topk
