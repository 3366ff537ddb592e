#include "topk/scan/scan_split.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/scan/scan_split.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "topk/amx.h"
#include "topk/scan/amx-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using DU = hn::RebindToUnsigned<DF>;
using VU = hn::Vec<DU>;

// The bits of the next part of x in the upper halves of lanes; x becomes what is left.
HWY_INLINE VU TakePart(hn::Vec<DF>& x) {
  const VU part = hn::And(hn::BitCast(DU(), x), hn::Set(DU(), 0xFFFF0000U));
  x = hn::Sub(x, hn::BitCast(DF(), part));
  return part;
}

void SplitPanelSimd(const float* HWY_RESTRICT panel, int64_t d, uint16_t* HWY_RESTRICT parts) {
  const DF df;
  const DU du;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t part_size = PadToSplit(d) * kBlockKeys;
  for (int64_t i = 0; i < PadToSplit(d); i += 2) {
    for (int64_t j = 0; j < kBlockKeys; j += n) {
      auto even = i < d ? hn::Load(df, panel + i * kBlockKeys + j) : hn::Zero(df);
      auto odd = i + 1 < d ? hn::Load(df, panel + (i + 1) * kBlockKeys + j) : hn::Zero(df);
      for (int64_t p = 0; p < kSplitParts; ++p) {
        const VU low = hn::ShiftRight<16>(TakePart(even));
        auto* out = reinterpret_cast<uint32_t*>(parts + p * part_size + (i / 2 * kBlockKeys + j) * 2);
        hn::Store(hn::Or(low, TakePart(odd)), du, out);
      }
    }
  }
}

void SplitRowsSimd(const float* HWY_RESTRICT rows, int64_t stride, int64_t n_rows, int64_t d,
                   uint16_t* HWY_RESTRICT parts) {
  const DF df;
  const hn::Rebind<uint16_t, DF> d16;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t padded_rows = (n_rows + kSplitRows - 1) / kSplitRows * kSplitRows;
  const int64_t depth = PadToSplit(d);
  const int64_t part_size = padded_rows * depth;
  for (int64_t p = 0; p < kSplitParts; ++p) {
    std::fill(parts + p * part_size + n_rows * depth, parts + (p + 1) * part_size, uint16_t{0});
  }
  for (int64_t r = 0; r < n_rows; ++r) {
    HWY_ALIGN float tail[kMaxLanes];
    for (int64_t i = 0; i < depth; i += n) {
      const float* from = rows + r * stride + i;
      if (i + n > d) {
        const int64_t left = std::max<int64_t>(0, d - i);
        std::fill(std::copy_n(from, left, tail), tail + kMaxLanes, 0.0F);
        from = tail;
      }
      auto x = hn::LoadU(df, from);
      for (int64_t p = 0; p < kSplitParts; ++p) {
        const auto bits = hn::TruncateTo(d16, hn::ShiftRight<16>(TakePart(x)));
        hn::StoreU(bits, d16, parts + p * part_size + r * depth + i);
      }
    }
  }
}

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86_64
// The product of one part of 32 rows with one of 32 keys, added to tmm0 to tmm3.
HWY_INLINE void AddProductOfParts(const uint16_t* rows, int64_t row_bytes, const uint16_t* keys) {
  constexpr int64_t kPairStride = kBlockKeys * 2 * static_cast<int64_t>(sizeof(uint16_t));
  const auto* more_rows = reinterpret_cast<const uint8_t*>(rows) + kAmxRows * row_bytes;
  // NOLINTNEXTLINE(hicpp-no-assembler)
  asm volatile(
      "tileloadd (%0,%2,1), %%tmm4\n\t"
      "tileloadd (%3,%5,1), %%tmm6\n\t"
      "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
      "tileloadd (%4,%5,1), %%tmm7\n\t"
      "tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
      "tileloadd (%1,%2,1), %%tmm5\n\t"
      "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
      "tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
      :
      : "r"(rows), "r"(more_rows), "r"(row_bytes), "r"(keys), "r"(keys + 2 * kMaxLanes), "r"(kPairStride)
      : "memory");
}

void MultiplySplitSimd(const uint16_t* HWY_RESTRICT rows, int64_t n_rows, const uint16_t* HWY_RESTRICT panel, int64_t d,
                       int64_t first_row, int64_t end_row, float* HWY_RESTRICT c, int64_t c_stride) {
  struct Parts {
    int64_t row, key;
  };
  constexpr Parts kSmallFirst[] = {{2, 0}, {0, 2}, {1, 1}, {1, 0}, {0, 1}, {0, 0}};
  const int64_t depth = PadToSplit(d);
  const int64_t row_bytes = depth * static_cast<int64_t>(sizeof(uint16_t));
  const int64_t c_bytes = c_stride * static_cast<int64_t>(sizeof(float));
  const AmxRegisters registers;
  for (int64_t r = first_row; r < end_row; r += kSplitRows) {
    for (int64_t j = 0; j < kBlockKeys; j += 2 * kMaxLanes) {
      ClearProducts();
      for (const Parts& part : kSmallFirst) {
        const uint16_t* q = rows + (part.row * n_rows + r) * depth;
        const uint16_t* k = panel + part.key * depth * kBlockKeys + j * 2;
        for (int64_t i = 0; i < depth; i += kSplitNumbers) AddProductOfParts(q + i, row_bytes, k + i * kBlockKeys);
      }
      float* out = c + (r - first_row) * c_stride + j;
      StoreProducts(out, out + kMaxLanes, out + kAmxRows * c_stride, out + kAmxRows * c_stride + kMaxLanes, c_bytes);
    }
  }
}
#else
void MultiplySplitSimd(const uint16_t* /*rows*/, int64_t /*n_rows*/, const uint16_t* /*panel*/, int64_t /*d*/,
                       int64_t /*first_row*/, int64_t /*end_row*/, float* /*c*/, int64_t /*c_stride*/) {}
#endif

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(SplitPanelSimd);
HWY_EXPORT(SplitRowsSimd);
HWY_EXPORT(MultiplySplitSimd);

bool CanScanSplit() { return UsesAmx(); }

void SplitPanel(const float* panel, int64_t d, uint16_t* parts) {
  HWY_DYNAMIC_DISPATCH(SplitPanelSimd)(panel, d, parts);
}

void SplitRows(const float* rows, int64_t stride, int64_t n_rows, int64_t d, uint16_t* parts) {
  HWY_DYNAMIC_DISPATCH(SplitRowsSimd)(rows, stride, n_rows, d, parts);
}

void MultiplySplit(const uint16_t* rows, int64_t n_rows, const uint16_t* panel, int64_t d, int64_t first_row,
                   int64_t end_row, float* c, int64_t c_stride) {
  HWY_DYNAMIC_DISPATCH(MultiplySplitSimd)(rows, n_rows, panel, d, first_row, end_row, c, c_stride);
}

}  // namespace topk
#endif  // HWY_ONCE
