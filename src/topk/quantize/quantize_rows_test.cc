// Quantising rows in place: within its bound of the exact numbers, for every type, size and SIMD target.
#include "topk/quantize/quantize_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "topk/numeric.h"
#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

class QuantizeRowsTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }
};

// Factors that take Gaussian keys to about +-40, and centres.
struct Transform {
  explicit Transform(int64_t d) : factor(PadToRowChunks(d)), centre(PadToRowChunks(d)) {
    for (int64_t i = 0; i < d; ++i) {
      factor[i] = std::ldexp(1.25F, i % 4);
      centre[i] = static_cast<float>(i % 7) - 3.0F;
    }
  }
  AlignedArray<float> factor, centre;
};

TEST_F(QuantizeRowsTest, IsWithinItsBoundForEveryTypeSizeAndTarget) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
      for (int64_t d : {1, 7, 8, 32, 33, 64, 80, 128, 576, 1024}) {
        if (type == DataType::kQ8_0 && d % kQ8BlockSize != 0) continue;
        std::mt19937 random(static_cast<uint32_t>(d));
        RandomTensor keys(type, 1, 80, 2, d, 1);
        keys.FillGaussian(random);
        const Transform transform(d);
        for (int64_t count : {1, 5, 63, 64}) {
          SCOPED_TRACE(std::string(target) + " type " + std::to_string(static_cast<int>(type)) + " d " +
                       std::to_string(d) + " count " + std::to_string(count));
          AlignedArray<uint8_t> panel(QuantizedPanelBytes(PadToRowChunks(d)));
          const int32_t squares =
              QuantizeRows({keys.view(), 3, count}, d, transform.factor.data(), transform.centre.data(), panel.data());
          int32_t largest = 0;
          for (int64_t j = 0; j < kBlockKeys; ++j) {
            int32_t sum = 0;
            for (int64_t g = 0; g < PadToRowChunks(d) / kGroup; ++g) {
              for (int64_t m = 0; m < kGroup; ++m) {
                const int32_t number = panel[(g * kBlockKeys + j) * kGroup + m] - 128;
                const int64_t i = NumberAt(g, m);
                double exact = 0;
                if (j < count && i < d) {
                  exact = static_cast<double>(ReadNumber(type, keys.view().Row(0, 3 + j, 0), i)) *
                              static_cast<double>(transform.factor[i]) -
                          static_cast<double>(transform.centre[i]);
                }
                ASSERT_NEAR(number, exact, static_cast<double>(kRowResidual)) << j << " " << i;
                sum += number * number;
              }
            }
            largest = std::max(largest, sum);
          }
          EXPECT_EQ(squares, largest);
          EXPECT_NEAR(squares,
                      QuantizeRowsReference({keys.view(), 3, count}, d, transform.factor.data(),
                                            transform.centre.data(), panel.data()),
                      2.0 * 0.02 * static_cast<double>(d * 128));  // ties may go the other way
        }
      }
    }
  }
}

TEST_F(QuantizeRowsTest, RefusesWhatIsNoByte) {
  constexpr int64_t kSize = 40;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Transform transform(kSize);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                      -std::numeric_limits<float>::quiet_NaN(), 1e30F, -1e30F, 300.0F, -300.0F, 0x1p31F, 7e6F}) {
      for (int64_t at : {0, 15, 31, 39}) {
        std::vector<float> numbers(kBlockKeys * kSize, 0.5F);
        numbers[37 * kSize + at] = bad;
        const TensorView view{numbers.data(), DataType::kF32, kSize * 4, 0, 0};
        AlignedArray<uint8_t> panel(QuantizedPanelBytes(PadToRowChunks(kSize)));
        const auto quantize = [&](auto&& function, int64_t count) {
          return function({view, 0, count}, kSize, transform.factor.data(), transform.centre.data(), panel.data());
        };
        EXPECT_EQ(quantize(QuantizeRows, 64), -1) << target << " " << bad << " " << at;
        EXPECT_EQ(quantize(QuantizeRowsReference, 64), -1) << target << " " << bad << " " << at;
        EXPECT_GT(quantize(QuantizeRows, 37), 0) << "the keys before it";
      }
    }
  }
}

TEST_F(QuantizeRowsTest, NumbersEveryDimensionOnce) {
  std::vector<int> seen(96);
  for (int64_t g = 0; g < 96 / kGroup; ++g) {
    for (int64_t m = 0; m < kGroup; ++m) ++seen[static_cast<size_t>(NumberAt(g, m))];
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 96);
}

TEST_F(QuantizeRowsTest, TracksRanges) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    AlignedArray<float> panel(2 * kBlockKeys), low(2 * kMaxLanes), high(2 * kMaxLanes);
    std::fill_n(low.data(), low.size(), 1e9F);
    std::fill_n(high.data(), high.size(), -1e9F);
    panel[17] = 5.0F;
    panel[kBlockKeys + 63] = -2.0F;
    TrackRanges(panel.data(), 2, low.data(), high.data());
    EXPECT_EQ(*std::max_element(high.data(), high.data() + kMaxLanes), 5.0F);
    EXPECT_EQ(*std::min_element(low.data(), low.data() + kMaxLanes), 0.0F);
    EXPECT_EQ(*std::min_element(low.data() + kMaxLanes, low.data() + 2 * kMaxLanes), -2.0F);
  }
}

}  // namespace
}  // namespace topk
