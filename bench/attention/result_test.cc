#include "attention/result.h"

#include <gtest/gtest.h>

namespace qwen_infer::attention_bench {
namespace {

const Case kDecode{.heads = {4, 2, 32}, .type = GGML_TYPE_F16, .n_query = 1, .n_key = 1000};
const Case kPrefill{.heads = {4, 2, 32}, .type = GGML_TYPE_F16, .n_query = 20, .n_key = 1000};

std::vector<double>& Of(Times& times, Method method) { return times.call[IndexOf(method)]; }

TEST(ResultTest, MedianIsTheMiddleOrTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({9, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 2, 9}), 3);
}

TEST(ResultTest, RatiosAreOfNeighbours) {
  // A machine that slows down threefold changes no ratio.
  const Ratio ratio = RatioOfNeighbours({2, 6, 9}, {1, 3, 3});
  EXPECT_EQ(ratio.median, 2);
  EXPECT_EQ(ratio.min, 2);
  EXPECT_EQ(ratio.max, 3);
}

TEST(ResultTest, ComparesTheFasterOfEachSide) {
  Times times;
  Of(times, Method::kStockFlash) = {8e-6, 9e-6, 8e-6};
  Of(times, Method::kStockProducts) = {6e-6, 6e-6, 6e-6};
  Of(times, Method::kTopKF32) = {3e-6, 2e-6, 3e-6};
  Of(times, Method::kDense) = {4e-6, 4e-6, 4e-6};
  Of(times, Method::kAsUsed) = {4e-6, 3e-6, 2e-6};
  times.unit[IndexOf(Yardstick::kRead)] = {1e-11, 1e-11, 1e-11};
  const Row row = Evaluate(kDecode, times);
  EXPECT_EQ(row.best_stock, Method::kStockProducts);
  EXPECT_EQ(row.best_ours, Method::kTopKF32);
  EXPECT_DOUBLE_EQ(row.microseconds[IndexOf(Method::kStockFlash)].value_or(0), 2.0);  // of one of four heads
  EXPECT_DOUBLE_EQ(row.microseconds[IndexOf(Method::kTopKF32)].value_or(0), 0.75);
  EXPECT_FALSE(row.microseconds[IndexOf(Method::kTopKInt8)]);
  EXPECT_DOUBLE_EQ(row.speed_up.median, 2);  // of what is used, not of the best
  EXPECT_DOUBLE_EQ(row.speed_up.min, 1.5);
  EXPECT_DOUBLE_EQ(row.speed_up.max, 3);
  EXPECT_TRUE(row.IsUnsteady());
  // K has 1000 * 2 * 32 * 2 bytes: 1.28 us.
  EXPECT_NEAR(row.roofline, 1.28 / 3, 1e-9);
}

TEST(ResultTest, AnotherTypeMayBeTheOneToBeat) {
  const auto row_of = [](const Case& the_case, double stock, double ours) {
    Times times;
    Of(times, Method::kStockFlash) = {stock};
    Of(times, Method::kDense) = Of(times, Method::kAsUsed) = {ours};
    times.unit[IndexOf(Yardstick::kRead)] = times.unit[IndexOf(Yardstick::kF32Products)] = {1e-11};
    return Evaluate(the_case, times);
  };
  Case quantised = kDecode;
  quantised.type = GGML_TYPE_Q8_0;
  const Row row = row_of(quantised, 8e-6, 2e-6);
  EXPECT_DOUBLE_EQ(SpeedUpOverAnyType(row, {}), 4);
  const std::vector<Row> others = {row_of(kDecode, 6e-6, 3e-6), row_of(kPrefill, 1e-6, 1e-6)};
  EXPECT_DOUBLE_EQ(SpeedUpOverAnyType(row, others), 3);
  EXPECT_DOUBLE_EQ(SpeedUpOverAnyType(row_of(quantised, 5e-6, 2e-6), others), 2.5);
}

TEST(ResultTest, TheLeastWorkIsThatOfTheMethod) {
  EXPECT_EQ(LeastWorkOf(kDecode, Method::kTopKF32).units, 128000);
  EXPECT_EQ(LeastWorkOf(kDecode, Method::kDense).units, 256000);
  EXPECT_EQ(LeastWorkOf(kDecode, Method::kDense).yardstick, Yardstick::kRead);
  const LeastWork int8 = LeastWorkOf(kPrefill, Method::kTopKInt8);
  EXPECT_EQ(int8.yardstick, Yardstick::kInt8Products);
  EXPECT_EQ(int8.units, 4.0 * 32 * (20 * 1000 - 190));
  EXPECT_EQ(LeastWorkOf(kPrefill, Method::kTopKInt16).yardstick, Yardstick::kInt16Products);
  const LeastWork dense = LeastWorkOf(kPrefill, Method::kDense);
  EXPECT_EQ(dense.yardstick, Yardstick::kF32Products);
  EXPECT_EQ(dense.units, 2 * int8.units);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
