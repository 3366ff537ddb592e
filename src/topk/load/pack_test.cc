// Packing against its reference: exact, for every type, size and SIMD target.
#include "topk/load/pack.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "topk/testing/aligned_array.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::AlignedArray;
using testing::RandomTensor;

constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0};

class PackTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }

  // Calls check(keys, d, count) for all types and the edges of tiles, on every target.
  template <typename Check>
  void ForAll(Check&& check) {
    for (const char* target : SimdTargets()) {
      ASSERT_TRUE(UseSimdTarget(target));
      for (DataType type : kTypes) {
        for (int64_t d : {1, 15, 16, 17, 32, 64, 65, 576, 1024}) {
          if (type == DataType::kQ8_0 && d % kQ8BlockSize != 0) continue;
          std::mt19937 random(static_cast<uint32_t>(d));
          RandomTensor keys(type, 1, 70, 2, d, 1);
          keys.FillGaussian(random);
          for (int64_t count : {0, 1, 3, 4, 5, 63, 64}) {
            SCOPED_TRACE(std::string(target) + " type " + std::to_string(static_cast<int>(type)) + " d " +
                         std::to_string(d) + " count " + std::to_string(count));
            check(keys, d, count);
          }
        }
      }
    }
  }
};

TEST_F(PackTest, TransposesKeysAndTracksTheirMagnitudes) {
  ForAll([](const RandomTensor& keys, int64_t d, int64_t count) {
    AlignedArray<float> panel(d * kBlockKeys), expected(d * kBlockKeys);
    AlignedArray<int32_t> magnitude(PadToLanes(d)), expected_magnitude(PadToLanes(d));
    const bool grew = PackKeys(keys.view(), 5, count, d, panel.data(), magnitude.data());
    EXPECT_EQ(grew, PackKeysReference(keys.view(), 5, count, d, expected.data(), expected_magnitude.data()));
    for (int64_t i = 0; i < d * kBlockKeys; ++i) ASSERT_EQ(panel[i], expected[i]) << i;
    for (int64_t i = 0; i < d; ++i) ASSERT_EQ(magnitude[i], expected_magnitude[i]) << i;
    EXPECT_FALSE(PackKeys(keys.view(), 5, count, d, panel.data(), magnitude.data())) << "nothing new";
  });
}

TEST_F(PackTest, PadsValues) {
  ForAll([](const RandomTensor& values, int64_t d, int64_t count) {
    const int64_t size = kBlockKeys * PadToLanes(d);
    AlignedArray<float> panel(size), expected(size);
    EXPECT_TRUE(PackValues(values.view(), 2, count, d, panel.data()));
    PackValuesReference(values.view(), 2, count, d, expected.data());
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(panel[i], expected[i]) << i;
  });
}

// In an order of its own, with more to fetch ahead than is packed.
std::vector<KeyIndex> List() {
  std::vector<KeyIndex> listed;
  for (KeyIndex j = 0; j < 140; ++j) listed.push_back(j * 11 % 70);
  return listed;
}

TEST_F(PackTest, TransposesListedKeys) {
  const std::vector<KeyIndex> listed = List();
  ForAll([&](const RandomTensor& keys, int64_t d, int64_t count) {
    AlignedArray<float> panel(d * kBlockKeys), expected(d * kBlockKeys);
    AlignedArray<int32_t> magnitude(PadToLanes(d)), expected_magnitude(PadToLanes(d));
    const bool grew = PackListedKeys(keys.view(), listed, count, d, panel.data(), magnitude.data());
    EXPECT_EQ(grew, PackListedKeysReference(keys.view(), listed, count, d, expected.data(), expected_magnitude.data()));
    for (int64_t i = 0; i < d * kBlockKeys; ++i) ASSERT_EQ(panel[i], expected[i]) << i;
    for (int64_t i = 0; i < d; ++i) ASSERT_EQ(magnitude[i], expected_magnitude[i]) << i;
  });
}

TEST_F(PackTest, PadsListedValues) {
  const std::vector<KeyIndex> listed = List();
  ForAll([&](const RandomTensor& values, int64_t d, int64_t count) {
    const int64_t size = kBlockKeys * PadToLanes(d);
    AlignedArray<float> panel(size), expected(size);
    EXPECT_TRUE(PackListedValues(values.view(), listed, count, d, panel.data()));
    PackListedValuesReference(values.view(), listed, count, d, expected.data());
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(panel[i], expected[i]) << i;
  });
}

TEST_F(PackTest, NoticesNumbersThatAreNotFinite) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      for (int64_t at : {0, 20}) {
        std::mt19937 random(3);
        RandomTensor keys(DataType::kF16, 1, 64, 1, 21, 0);
        keys.FillGaussian(random);
        keys.Set(0, 40, 0, at, bad);
        AlignedArray<float> panel(64 * PadToLanes(21));
        AlignedArray<int32_t> magnitude(PadToLanes(21));
        PackKeys(keys.view(), 0, 64, 21, panel.data(), magnitude.data());
        EXPECT_GE(magnitude[at], 0x7F800000) << target;
        EXPECT_FALSE(PackValues(keys.view(), 0, 64, 21, panel.data())) << target;
      }
    }
  }
}

}  // namespace
}  // namespace topk
