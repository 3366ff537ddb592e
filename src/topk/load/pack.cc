#include "topk/load/pack.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/load/pack.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "topk/load/load-inl.h"
#include "topk/load/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = DSquare;
using VF = VSquare;
constexpr int64_t kLanes = kSquareLanes;

// Rows of one head are strided, which hardware prefetchers follow badly: fetch them some blocks ahead.
constexpr int64_t kRowsAhead = 4 * kBlockKeys;

// Rows [first, ...) of a head. Into L2, which has room for more misses at a time than L1.
struct RowsFrom {
  const TensorView& head;
  int64_t first;

  const uint8_t* At(int64_t j) const { return head.Row(0, first + j, 0); }
  void FetchAhead(int64_t j, int64_t bytes) const { PrefetchBytes<2>(At(j + kRowsAhead), bytes); }
};

// Rows of a head in the order of a list, which no hardware prefetcher follows: a block ahead.
struct ListedRows {
  const TensorView& head;
  std::span<const KeyIndex> listed;

  const uint8_t* At(int64_t j) const { return head.Row(0, listed[j], 0); }
  void FetchAhead(int64_t j, int64_t bytes) const {
    if (static_cast<size_t>(j + kBlockKeys) < listed.size()) PrefetchBytes<2>(At(j + kBlockKeys), bytes);
  }
};

template <DataType kType, class Rows>
bool PackKeysOfType(const Rows& keys, int64_t count, int64_t d, float* HWY_RESTRICT panel,
                    int32_t* HWY_RESTRICT magnitude) {
  const DF df;
  const hn::RebindToSigned<DF> di;
  const auto absolute = hn::Set(di, 0x7FFFFFFF);
  auto grew = hn::Zero(di);
  if (count < kBlockKeys) std::fill_n(panel, d * kBlockKeys, 0.0F);
  for (int64_t j = 0; j < count; j += kLanes) {
    const uint8_t* row[kLanes];
    for (int64_t m = 0; m < kLanes; ++m) {
      row[m] = keys.At(std::min(j + m, count - 1));  // past the end the last key stands in
      keys.FetchAhead(j + m, RowBytes(kType, d));
    }
    const auto transpose = [&](int64_t i, auto&& load, int64_t width) HWY_ATTR {
      VF numbers[kLanes];
      for (int64_t m = 0; m < kLanes; ++m) numbers[m] = load(row[m], i);
      const auto before = hn::Load(di, magnitude + i);
      auto largest = before;
      for (int64_t m = 0; m < kLanes; ++m) largest = hn::Max(largest, hn::And(hn::BitCast(di, numbers[m]), absolute));
      grew = hn::Or(grew, hn::VecFromMask(di, hn::Gt(largest, before)));
      hn::Store(largest, di, magnitude + i);
      TransposeSquare(numbers);
      for (int64_t m = 0; m < kLanes; ++m) {
        if (m < width) hn::Store(numbers[m], df, panel + (i + m) * kBlockKeys + j);
      }
    };
    int64_t i = 0;
    for (; i + kLanes <= d; i += kLanes) {
      transpose(
          i, [&](const uint8_t* from, int64_t at) HWY_ATTR { return RowLoader<kType>::Load(df, from, at); }, kLanes);
    }
    if (i < d) {
      transpose(
          i, [&](const uint8_t* from, int64_t at) HWY_ATTR { return LoadTail<kType>(df, from, at, d - at); }, d - i);
    }
  }
  const int64_t end = std::min((count + kLanes - 1) / kLanes * kLanes, kBlockKeys);
  for (int64_t i = 0; i < d && count < end; ++i) {
    std::fill(panel + i * kBlockKeys + count, panel + i * kBlockKeys + end, 0.0F);  // the stand-ins
  }
  return !hn::AllFalse(di, hn::MaskFromVec(grew));
}

template <class Rows>
bool PackKeyRows(const Rows& keys, int64_t count, int64_t d, float* panel, int32_t* magnitude) {
  bool grew = false;
  WithType(keys.head.type, [&](auto type) { grew = PackKeysOfType<type>(keys, count, d, panel, magnitude); });
  return grew;
}

bool PackKeysSimd(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel, int32_t* magnitude) {
  return PackKeyRows(RowsFrom{keys, first}, count, d, panel, magnitude);
}

bool PackListedKeysSimd(const TensorView& keys, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                        float* panel, int32_t* magnitude) {
  return PackKeyRows(ListedRows{keys, listed}, count, d, panel, magnitude);
}

template <DataType kType, class Rows>
bool PackValuesOfType(const Rows& values, int64_t count, int64_t d, float* HWY_RESTRICT panel) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t padded = PadToLanes(d);
  const int64_t whole = d / n * n;
  auto spoilt = hn::Zero(df);  // x * 0: NaN where x is not finite
  const auto store = [&](auto x, float* out) HWY_ATTR {
    spoilt = hn::MulAdd(x, hn::Zero(df), spoilt);
    hn::Store(x, df, out);
  };
  for (int64_t j = 0; j < count; ++j) {
    const uint8_t* row = values.At(j);
    values.FetchAhead(j, RowBytes(kType, d));
    float* out = panel + j * padded;
    for (int64_t i = 0; i < whole; i += n) store(RowLoader<kType>::Load(df, row, i), out + i);
    if (whole < padded) std::fill(out + whole, out + padded, 0.0F);
    if (whole < d) store(LoadTail<kType>(df, row, whole, d - whole), out + whole);
  }
  std::fill_n(panel + count * padded, (kBlockKeys - count) * padded, 0.0F);
  return hn::AllTrue(df, hn::Eq(spoilt, hn::Zero(df)));
}

template <class Rows>
bool PackValueRows(const Rows& values, int64_t count, int64_t d, float* panel) {
  bool all_finite = true;
  WithType(values.head.type, [&](auto type) { all_finite = PackValuesOfType<type>(values, count, d, panel); });
  return all_finite;
}

bool PackValuesSimd(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel) {
  return PackValueRows(RowsFrom{values, first}, count, d, panel);
}

bool PackListedValuesSimd(const TensorView& values, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                          float* panel) {
  return PackValueRows(ListedRows{values, listed}, count, d, panel);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(PackKeysSimd);
HWY_EXPORT(PackListedKeysSimd);
HWY_EXPORT(PackValuesSimd);
HWY_EXPORT(PackListedValuesSimd);

bool PackKeys(const TensorView& keys, int64_t first, int64_t count, int64_t d, float* panel, int32_t* magnitude) {
  return HWY_DYNAMIC_DISPATCH(PackKeysSimd)(keys, first, count, d, panel, magnitude);
}

bool PackValues(const TensorView& values, int64_t first, int64_t count, int64_t d, float* panel) {
  return HWY_DYNAMIC_DISPATCH(PackValuesSimd)(values, first, count, d, panel);
}

bool PackListedKeys(const TensorView& keys, std::span<const KeyIndex> listed, int64_t count, int64_t d, float* panel,
                    int32_t* magnitude) {
  return HWY_DYNAMIC_DISPATCH(PackListedKeysSimd)(keys, listed, count, d, panel, magnitude);
}

bool PackListedValues(const TensorView& values, std::span<const KeyIndex> listed, int64_t count, int64_t d,
                      float* panel) {
  return HWY_DYNAMIC_DISPATCH(PackListedValuesSimd)(values, listed, count, d, panel);
}

}  // namespace topk
#endif  // HWY_ONCE
