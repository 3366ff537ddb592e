// Visibility against its reference for masks of every kind, on every SIMD target.
#include "topk/visibility/visibility.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "topk/testing/expect_visibility.h"
#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::ExpectSame;

constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Masks by name, as functions of the key.
std::vector<std::pair<std::string, std::vector<float>>> Masks(int64_t n) {
  std::mt19937 random(1);
  std::vector<std::pair<std::string, std::vector<float>>> masks = {
      {"none hidden", std::vector<float>(n, 0.0F)},    {"all hidden", std::vector<float>(n, kHidden)},
      {"causal", std::vector<float>(n, 0.0F)},         {"random", std::vector<float>(n, 0.0F)},
      {"one visible", std::vector<float>(n, kHidden)}, {"bias", std::vector<float>(n, -0.5F)},
      {"negative zero", std::vector<float>(n, -0.0F)}, {"NaN", std::vector<float>(n, 0.0F)},
      {"window", std::vector<float>(n, kHidden)},      {"+inf", std::vector<float>(n, 0.0F)}};
  for (int64_t j = 0; j < n; ++j) {
    if (j > n / 2) masks[2].second[j] = kHidden;
    if (random() % 3 == 0) masks[3].second[j] = kHidden;
    if (j >= n / 3 && j < n / 2) masks[8].second[j] = 0.0F;
  }
  if (n > 0) {
    masks[4].second[n - 1] = 0.0F;
    masks[7].second[n / 2] = std::numeric_limits<float>::quiet_NaN();
    masks[9].second[n / 2] = -kHidden;
  }
  return masks;
}

TEST(VisibilityTest, EqualsReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t n : {0, 1, 31, 32, 33, 63, 64, 200}) {
      for (auto& [name, mask] : Masks(n)) {
        std::vector<uint16_t> half;
        for (float x : mask) half.push_back(testing::F32ToF16(x));
        for (int64_t sinks : {0, 1, 4, 1000}) {
          for (int64_t window : {0, 1, 5, 1000}) {
            const std::string what = name + " n " + std::to_string(n) + " on " + target;
            const auto end = static_cast<KeyIndex>(n);
            const auto* f32 = reinterpret_cast<const uint8_t*>(mask.data());
            const auto* f16 = reinterpret_cast<const uint8_t*>(half.data());
            ExpectSame(FindVisibility(DataType::kF32, f32, end, sinks, window),
                       FindVisibilityReference(DataType::kF32, f32, end, sinks, window), what + " f32");
            ExpectSame(FindVisibility(DataType::kF16, f16, end, sinks, window),
                       FindVisibilityReference(DataType::kF16, f16, end, sinks, window), what + " f16");
          }
        }
      }
      ExpectSame(FindVisibility(DataType::kF32, nullptr, static_cast<KeyIndex>(n), 3, 5),
                 FindVisibilityReference(DataType::kF32, nullptr, static_cast<KeyIndex>(n), 3, 5), "no mask");
    }
  }
  UseSimdTarget(nullptr);
}

TEST(VisibilityTest, BitsEqualReference) {
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t n : {1, 31, 63, 64, 65, 127, 128, 200}) {
      for (auto& [name, mask] : Masks(n)) {
        std::vector<uint16_t> half;
        for (float x : mask) half.push_back(testing::F32ToF16(x));
        for (const auto& [type, data] : {std::pair(DataType::kF32, reinterpret_cast<const uint8_t*>(mask.data())),
                                         std::pair(DataType::kF16, reinterpret_cast<const uint8_t*>(half.data()))}) {
          for (int64_t begin : {int64_t{0}, int64_t{1}, n / 2, n}) {
            std::vector<uint64_t> got(4, 77);
            std::vector<uint64_t> want(4, 77);
            FindVisibleBits(type, data, static_cast<KeyIndex>(begin), static_cast<KeyIndex>(n), got.data());
            FindVisibleBitsReference(type, data, static_cast<KeyIndex>(begin), static_cast<KeyIndex>(n), want.data());
            EXPECT_EQ(got, want) << name << " from " << begin << " to " << n << " on " << target;
          }
        }
      }
    }
  }
  UseSimdTarget(nullptr);
}

}  // namespace
}  // namespace topk
