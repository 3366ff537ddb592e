// Attention against ReferenceAttention, on every SIMD target of this machine and for several thread counts.
#ifndef TOPK_SRC_TESTING_EXPECT_ATTENTION_H_
#define TOPK_SRC_TESTING_EXPECT_ATTENTION_H_

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "topk/attention.h"

namespace topk::testing {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Leaves the SIMD target as it was found.
class TargetTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }
};

// Runs a problem on all targets and 1 to 3 threads, with every scan, with and without asking for the selection: expects
// the same selected set, bit for bit, outputs to f32 rounding and the same statistics.
void ExpectEqualsReference(const AttentionInput& input, TopKOptions options, const std::string& what);

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_EXPECT_ATTENTION_H_
