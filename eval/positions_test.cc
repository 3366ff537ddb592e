#include "positions.h"

#include <gtest/gtest.h>

namespace qwen_infer::eval {
namespace {

TEST(PositionsTest, BucketsDoubleAndEndWithTheWindow) {
  EXPECT_EQ(PositionBuckets(1100), (std::vector<Positions>{{1, 256}, {256, 512}, {512, 1024}, {1024, 1100}}));
  EXPECT_EQ(PositionBuckets(1024).back(), (Positions{512, 1024}));
  EXPECT_EQ(PositionBuckets(1025).back(), (Positions{1024, 1025}));
}

TEST(PositionsTest, SmallWindowsHaveOneBucketOrNone) {
  EXPECT_EQ(PositionBuckets(256), (std::vector<Positions>{{1, 256}}));
  EXPECT_EQ(PositionBuckets(2), (std::vector<Positions>{{1, 2}}));
  EXPECT_TRUE(PositionBuckets(1).empty());
}

TEST(PositionsTest, NamesHaveTheLastPosition) { EXPECT_EQ(NameOf({256, 512}), "256-511"); }

}  // namespace
}  // namespace qwen_infer::eval
