#include "eval/tune/curve.h"

#include <gtest/gtest.h>

namespace qwen_infer::tune {
namespace {

TEST(TuneCurveTest, IsAPowerOfKBetweenWhatWasMeasured) {
  const Curve curve({{16, 0.4, 0.5}, {64, 0.1, 0.7}, {256, 0.1, 0.9}});
  EXPECT_DOUBLE_EQ(curve.Kl(16), 0.4);
  EXPECT_NEAR(curve.Kl(32), 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(curve.Kl(64), 0.1);
  EXPECT_NEAR(curve.Kl(100), 0.1, 1e-12);
  EXPECT_NEAR(curve.Mass(32), 0.6, 1e-12);
  EXPECT_NEAR(curve.Mass(256), 0.9, 1e-12);
}

TEST(TuneCurveTest, EndsAreKeptBeyondThem) {
  const Curve curve({{16, 0.4, 0.5}, {64, 0.1, 0.7}});
  EXPECT_DOUBLE_EQ(curve.Kl(1), 0.4);
  EXPECT_NEAR(curve.Kl(1000), 0.1, 1e-12);
  EXPECT_DOUBLE_EQ(curve.Mass(1000), 0.7);
}

TEST(TuneCurveTest, MoreKeysNeverCostMore) {
  const Curve curve({{16, 0.1, 0.8}, {64, 0.3, 0.7}, {256, 0.2, 0.9}});
  EXPECT_DOUBLE_EQ(curve.points()[0].kl, 0.3);
  EXPECT_DOUBLE_EQ(curve.points()[1].kl, 0.3);
  EXPECT_DOUBLE_EQ(curve.points()[2].kl, 0.2);
  EXPECT_DOUBLE_EQ(curve.points()[0].mass, 0.7);
}

TEST(TuneCurveTest, ALayerThatLosesNothingHasNoLogarithmOfZero) {
  const Curve curve({{16, 0.1, 0.8}, {64, 0, 1}});
  EXPECT_LT(curve.Kl(64), 1e-8);
  EXPECT_GT(curve.Kl(32), 0);
}

}  // namespace
}  // namespace qwen_infer::tune
