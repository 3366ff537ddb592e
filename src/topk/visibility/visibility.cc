#include "topk/visibility/visibility.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/visibility/visibility.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "topk/load/load-inl.h"
#include "topk/load/pack.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The bits of a mask row's numbers as unsigned integers: all that matters are -inf, zero and NaN or +inf.
template <typename Bits>
struct MaskBits {
  static constexpr Bits kInfinity = sizeof(Bits) == 2 ? Bits{0x7C00} : static_cast<Bits>(0x7F800000U);
  static constexpr Bits kSign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  static constexpr Bits kHidden = kSign | kInfinity;
};

template <typename Bits>
void Summarize(const Bits* HWY_RESTRICT mask, KeyIndex end, Visibility& out) {
  const hn::ScalableTag<Bits> d;
  const auto n = static_cast<KeyIndex>(hn::Lanes(d));
  const auto hidden = hn::Set(d, MaskBits<Bits>::kHidden);
  const auto not_sign = hn::Set(d, static_cast<Bits>(~MaskBits<Bits>::kSign));
  auto magnitudes = hn::Zero(d);  // of visible numbers, or-ed: 0 if all are 0
  auto largest = hn::Zero(d);
  KeyIndex j = 0;
  const auto visible_at = [&](KeyIndex at) HWY_ATTR { return hn::Ne(hn::LoadU(d, mask + at), hidden); };
  bool found = false;
  for (; j + n <= end; j += n) {
    const auto bits = hn::LoadU(d, mask + j);
    const auto visible = visible_at(j);
    const auto seen = static_cast<KeyIndex>(hn::CountTrue(d, visible));
    if (seen == 0) continue;
    if (!found) out.begin = j + static_cast<KeyIndex>(hn::FindFirstTrue(d, visible));
    found = true;
    out.count += seen;
    out.end = j + n;  // refined below
    const auto magnitude = hn::IfThenElseZero(visible, hn::And(bits, not_sign));
    magnitudes = hn::Or(magnitudes, magnitude);
    largest = hn::Max(largest, magnitude);
  }
  while (out.end > out.begin && mask[out.end - 1] == MaskBits<Bits>::kHidden) --out.end;
  Bits tail_magnitudes = 0;
  Bits tail_largest = 0;
  for (; j < end; ++j) {
    if (mask[j] == MaskBits<Bits>::kHidden) continue;
    if (!found) out.begin = j;
    found = true;
    ++out.count;
    out.end = j + 1;
    const auto magnitude = static_cast<Bits>(mask[j] & ~MaskBits<Bits>::kSign);
    tail_magnitudes |= magnitude;
    tail_largest = std::max(tail_largest, magnitude);
  }
  const Bits most = std::max(tail_largest, static_cast<Bits>(hn::GetLane(hn::MaxOfLanes(d, largest))));
  const bool all_zero = tail_magnitudes == 0 && hn::AllTrue(d, hn::Eq(magnitudes, hn::Zero(d)));
  out.is_zero = found && all_zero;
  out.is_range = out.is_zero && out.count == out.end - out.begin;
  out.is_finite = most < MaskBits<Bits>::kInfinity;
}

// Everything but sinks and window.
void SummarizeSimd(DataType type, const uint8_t* mask, KeyIndex end, Visibility& out) {
  if (type == DataType::kF16) return Summarize(reinterpret_cast<const uint16_t*>(mask), end, out);
  Summarize(reinterpret_cast<const uint32_t*>(mask), end, out);
}

template <typename Bits>
void VisibleBits(const Bits* HWY_RESTRICT mask, int64_t count, uint64_t* HWY_RESTRICT out) {
  const hn::ScalableTag<Bits> d;
  const auto n = static_cast<int64_t>(hn::Lanes(d));
  const auto hidden = hn::Set(d, MaskBits<Bits>::kHidden);
  const auto bits_at = [&](int64_t j) HWY_ATTR {
    uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, hn::Ne(hn::LoadU(d, mask + j), hidden), bytes);
    uint64_t bits = 0;
    std::memcpy(&bits, bytes, sizeof bits);
    return bits;
  };
  for (; count >= kBlockKeys; count -= kBlockKeys, mask += kBlockKeys) {
    uint64_t word = 0;
    for (int64_t j = 0; j < kBlockKeys; j += n) word |= bits_at(j) << j;
    *out++ = word;
  }
  if (count == 0) return;
  uint64_t word = 0;
  int64_t j = 0;
  for (; j + n <= count; j += n) word |= bits_at(j) << j;
  for (; j < count; ++j) word |= uint64_t{mask[j] != MaskBits<Bits>::kHidden} << j;
  *out = word;
}

void VisibleBitsSimd(DataType type, const uint8_t* mask, int64_t count, uint64_t* bits) {
  if (type == DataType::kF16) return VisibleBits(reinterpret_cast<const uint16_t*>(mask), count, bits);
  VisibleBits(reinterpret_cast<const uint32_t*>(mask), count, bits);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(SummarizeSimd);
HWY_EXPORT(VisibleBitsSimd);

namespace {

// The position after the n-th visible key from `from` on, going up; n >= 1 keys are there.
KeyIndex EndOfFirst(DataType type, const uint8_t* mask, KeyIndex from, int64_t n) {
  while (n > 0) n -= IsVisible(type, mask, from++) ? 1 : 0;
  return from;
}

// The n-th visible key below `from`, going down.
KeyIndex BeginOfLast(DataType type, const uint8_t* mask, KeyIndex from, int64_t n) {
  while (n > 0) n -= IsVisible(type, mask, --from) ? 1 : 0;
  return from;
}

}  // namespace

Visibility FindVisibility(DataType mask_type, const uint8_t* mask, KeyIndex end, int64_t sinks, int64_t window) {
  Visibility out;
  if (end <= 0) return out;
  if (mask == nullptr) {
    out.end = out.count = end;
    out.is_zero = out.is_range = true;
  } else {
    HWY_DYNAMIC_DISPATCH(SummarizeSimd)(mask_type, mask, end, out);
    if (out.count == 0) return {};
  }
  const int64_t n_sinks = std::min<int64_t>(sinks, out.count);
  const int64_t n_window = std::min<int64_t>(window, out.count - n_sinks);
  out.sinks_end = EndOfFirst(mask_type, mask, out.begin, n_sinks);
  out.window_begin = BeginOfLast(mask_type, mask, out.end, n_window);
  out.n_competing = static_cast<KeyIndex>(out.count - n_sinks - n_window);
  return out;
}

void FindVisibleBits(DataType mask_type, const uint8_t* mask, KeyIndex begin, KeyIndex end, uint64_t* bits) {
  HWY_DYNAMIC_DISPATCH(VisibleBitsSimd)(mask_type, mask + RowBytes(mask_type, begin), end - begin, bits);
}

}  // namespace topk
#endif  // HWY_ONCE
