// The canonical score has the same bits on every SIMD target.
#include "topk/canonical/canonical.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "topk/testing/random_input.h"

namespace topk {
namespace {

using testing::RandomTensor;

TEST(CanonicalTest, HasTheSameBitsAsTheReferenceOnEveryTarget) {
  std::mt19937 random(1);
  for (DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kQ8_0}) {
    for (int64_t d : {1, 7, 8, 9, 64, 65, 96, 576, 1024}) {
      if (type == DataType::kQ8_0 && d % kQ8BlockSize != 0) continue;
      RandomTensor keys(type, 1, 40, 1, d, 1);
      keys.FillGaussian(random);
      RandomTensor query(DataType::kF32, 1, 1, 1, d, 0);
      query.FillGaussian(random);
      const auto* q = reinterpret_cast<const float*>(query.view().Row(0, 0, 0));
      const std::vector<KeyIndex> list = {39, 0, 7, 7, 21};
      for (const char* target : SimdTargets()) {
        ASSERT_TRUE(UseSimdTarget(target));
        std::vector<double> dots(list.size());
        CanonicalDots(q, keys.view(), d, list, dots.data());
        for (size_t j = 0; j < list.size(); ++j) {
          EXPECT_EQ(dots[j], CanonicalDotReference(q, type, keys.view().Row(0, list[j], 0), d))
              << target << " type " << static_cast<int>(type) << " d " << d;
        }
      }
    }
  }
  UseSimdTarget(nullptr);
}

}  // namespace
}  // namespace topk
