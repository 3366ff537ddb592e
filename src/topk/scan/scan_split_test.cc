// The scan with parts of bf16: the parts against their references, sums to the numbers, and the bound on its error.
#include "topk/scan/scan_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "topk/attention.h"
#include "topk/scan/scan.h"
#include "topk/testing/aligned_array.h"

namespace topk {
namespace {

using testing::AlignedArray;

float FromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Of all sizes, and both signs or one; of the kinds with tiny ones, some are subnormal.
enum class Kind { kGaussian, kPositive, kWideRange, kTiny };
constexpr Kind kKinds[] = {Kind::kGaussian, Kind::kPositive, Kind::kWideRange, Kind::kTiny};

float Draw(Kind kind, std::mt19937& random) {
  std::normal_distribution<float> gaussian;
  std::uniform_real_distribution<float> exponent(-40.0F, 20.0F);
  switch (kind) {
    case Kind::kGaussian: return gaussian(random);
    case Kind::kPositive: return std::abs(gaussian(random)) + 1.0F;
    case Kind::kWideRange: return gaussian(random) * std::exp2(exponent(random));
    case Kind::kTiny: return gaussian(random) * std::exp2(exponent(random) - 100.0F);
  }
  return 0.0F;
}

class ScanSplitTest : public ::testing::Test {
 protected:
  void TearDown() override { UseSimdTarget(nullptr); }
};

TEST_F(ScanSplitTest, PartsAreThoseOfTheReferenceAndAddUpToTheNumbers) {
  std::mt19937 random(1);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {1, 2, 15, 17, 32, 33, 64, 100}) {
      AlignedArray<float> panel(d * kBlockKeys);
      for (int64_t i = 0; i < panel.size(); ++i) panel[i] = Draw(kKinds[i % 3], random);
      AlignedArray<uint16_t> parts(SplitPanelSize(d));
      AlignedArray<uint16_t> expected(SplitPanelSize(d));
      SplitPanel(panel.data(), d, parts.data());
      SplitPanelReference(panel.data(), d, expected.data());
      for (int64_t i = 0; i < parts.size(); ++i)
        ASSERT_EQ(parts[i], expected[i]) << target << " d " << d << " at " << i;
      for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = 0; j < kBlockKeys; ++j) {
          double sum = 0;
          for (int64_t p = 0; p < kSplitParts; ++p) {
            sum += FromBf16(parts[p * PadToSplit(d) * kBlockKeys + (i / 2 * kBlockKeys + j) * 2 + i % 2]);
          }
          ASSERT_EQ(sum, panel[i * kBlockKeys + j]);
        }
      }
      for (int64_t n_rows : {1, 31, 32, 33}) {
        const int64_t stride = PadToLanes(d) + kMaxLanes;
        AlignedArray<float> rows(n_rows * stride);
        for (int64_t i = 0; i < rows.size(); ++i) rows[i] = Draw(kKinds[i % 3], random);
        const int64_t size = SplitRowsSize((n_rows + kSplitRows - 1) / kSplitRows * kSplitRows, d);
        AlignedArray<uint16_t> row_parts(size);
        AlignedArray<uint16_t> expected_parts(size);
        std::fill_n(row_parts.data(), size, uint16_t{0x7777});
        SplitRows(rows.data(), stride, n_rows, d, row_parts.data());
        SplitRowsReference(rows.data(), stride, n_rows, d, expected_parts.data());
        for (int64_t i = 0; i < size; ++i) {
          ASSERT_EQ(row_parts[i], expected_parts[i]) << target << " d " << d << " rows " << n_rows << " at " << i;
        }
      }
    }
  }
}

// The distance of AMX's scores from those in f64 is within the bound that the selection relies on.
TEST_F(ScanSplitTest, ErrorIsWithinItsBound) {
  if (!CanScanSplit()) GTEST_SKIP() << "this processor has no AMX for bf16";
  std::mt19937 random(2);
  constexpr int64_t kRows = 2 * kSplitRows;
  constexpr int64_t kStride = kBlockKeys + kMaxLanes;
  for (int64_t d : {1, 20, 32, 64, 80, 256}) {
    const int64_t row_stride = PadToLanes(d);
    for (Kind q_kind : kKinds) {
      for (Kind k_kind : kKinds) {
        AlignedArray<float> rows(kRows * row_stride);
        AlignedArray<float> panel(d * kBlockKeys);
        AlignedArray<int32_t> magnitude(row_stride);
        for (int64_t r = 0; r < kRows; ++r) {
          for (int64_t i = 0; i < d; ++i) rows[r * row_stride + i] = Draw(q_kind, random);
        }
        for (int64_t i = 0; i < d; ++i) {
          float largest = kLeastSplitMagnitude;
          for (int64_t j = 0; j < kBlockKeys; ++j) {
            const float x = panel[i * kBlockKeys + j] = Draw(k_kind, random);
            largest = std::max(largest, std::abs(x));
          }
          magnitude[i] = std::bit_cast<int32_t>(largest);
        }
        AlignedArray<uint16_t> row_parts(SplitRowsSize(kRows, d));
        AlignedArray<uint16_t> key_parts(SplitPanelSize(d));
        AlignedArray<float> scores(kRows * kStride);
        SplitRows(rows.data(), row_stride, kRows, d, row_parts.data());
        SplitPanel(panel.data(), d, key_parts.data());
        for (int64_t first = 0; first < kRows; first += kSplitRows) {
          MultiplySplit(row_parts.data(), kRows, key_parts.data(), d, first, first + kSplitRows,
                        scores.data() + first * kStride, kStride);
        }
        for (int64_t r = 0; r < kRows; ++r) {
          const double bound = ScanError(rows.data() + r * row_stride, magnitude.data(), d, 0.0F);
          for (int64_t j = 0; j < kBlockKeys; ++j) {
            double right = 0;
            for (int64_t i = 0; i < d; ++i) {
              right += static_cast<double>(rows[r * row_stride + i]) * static_cast<double>(panel[i * kBlockKeys + j]);
            }
            const double score = scores[r * kStride + j];
            // The bound covers 8 units for what the f32 scan has beside the products.
            ASSERT_LE(std::abs(score - right), 0.9 * bound) << "d " << d << " row " << r << " key " << j;
          }
        }
      }
    }
  }
}

TEST_F(ScanSplitTest, BoundEqualsItsReference) {
  std::mt19937 random(3);
  for (const char* target : SimdTargets()) {
    ASSERT_TRUE(UseSimdTarget(target));
    for (int64_t d : {1, 16, 64, 100}) {
      AlignedArray<float> q(PadToLanes(d));
      AlignedArray<int32_t> magnitude(PadToLanes(d));
      for (int64_t i = 0; i < d; ++i) {
        q[i] = Draw(Kind::kGaussian, random);
        magnitude[i] = std::bit_cast<int32_t>(std::abs(Draw(Kind::kGaussian, random)));
      }
      const float expected = ScanErrorReference(q.data(), magnitude.data(), d, 0.0F);
      ASSERT_NEAR(ScanError(q.data(), magnitude.data(), d, 0.0F), expected, 1e-4F * expected);
    }
  }
}

}  // namespace
}  // namespace topk
