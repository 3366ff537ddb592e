#include "strongest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace qwen_infer::inspect {
namespace {

double Unpacked(uint8_t packed) { return std::pow(packed / 255.0, 2); }

TEST(StrongestTest, APackedShareIsNearTheShare) {
  EXPECT_EQ(PackShare(0), 0);
  EXPECT_EQ(PackShare(1), 255);
  EXPECT_EQ(PackShare(1.0001), 255) << "sums round";
  EXPECT_EQ(PackShare(std::numeric_limits<double>::quiet_NaN()), 0);
  for (double share = 0; share <= 1; share += 0.0007) {
    EXPECT_NEAR(Unpacked(PackShare(share)), share, 0.004) << share;
  }
  EXPECT_NEAR(Unpacked(PackShare(0.001)), 0.001, 0.0002) << "small ones are told apart";
}

struct Kept {
  std::vector<uint16_t> keys;
  std::vector<uint8_t> weights;
};

Kept Strongest(size_t count, std::vector<WeightOfKey> row) {
  Kept kept = {.keys = std::vector<uint16_t>(count, 9), .weights = std::vector<uint8_t>(count, 9)};
  KeepStrongest(row, kept.keys, kept.weights);
  return kept;
}

TEST(StrongestTest, KeepsTheStrongestInOrderAndTheLowestKeyAmongEqualOnes) {
  const Kept kept = Strongest(3, {{4, 0.1F}, {70, 0.25F}, {5, 0.1F}, {65535, 0.5F}, {3, 0.05F}});
  EXPECT_EQ(kept.keys, (std::vector<uint16_t>{65535, 70, 4}));
  EXPECT_EQ(kept.weights, (std::vector<uint8_t>{PackShare(0.5), PackShare(0.25), PackShare(0.1F)}));
}

TEST(StrongestTest, PlacesThatAreLeftOverHaveNoWeight) {
  const Kept kept = Strongest(3, {{7, 1.0F}});
  EXPECT_EQ(kept.keys, (std::vector<uint16_t>{7, 0, 0}));
  EXPECT_EQ(kept.weights, (std::vector<uint8_t>{255, 0, 0}));
  EXPECT_EQ(Strongest(2, {}).weights, (std::vector<uint8_t>{0, 0}));
}

}  // namespace
}  // namespace qwen_infer::inspect
