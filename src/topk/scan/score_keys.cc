#include "topk/scan/score_keys.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "topk/scan/score_keys.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "topk/load/load-inl.h"
#include "topk/load/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace topk {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, kMaxLanes>;
using VF = hn::Vec<DF>;

constexpr int kKeysAtOnce = kSumsAtOnce;
constexpr size_t kPrefetchKeys = 16;

template <DataType kType>
void ScoreKeysOfType(const float* HWY_RESTRICT q, const TensorView& head_keys, int64_t d,
                     std::span<const KeyIndex> keys, float* HWY_RESTRICT scores) {
  const DF df;
  const auto n = static_cast<int64_t>(hn::Lanes(df));
  const int64_t whole = d / n * n;
  const int64_t row_bytes = RowBytes(kType, d);
  for (size_t j = 0; j < keys.size(); j += kKeysAtOnce) {
    const uint8_t* row[kKeysAtOnce];
    for (size_t m = 0; m < kKeysAtOnce; ++m) {
      row[m] = head_keys.Row(0, keys[std::min(j + m, keys.size() - 1)], 0);
      if (j + m + kPrefetchKeys < keys.size()) {
        PrefetchBytes<3>(head_keys.Row(0, keys[j + m + kPrefetchKeys], 0), row_bytes);
      }
    }
    VF sum[kKeysAtOnce] = {hn::Zero(df), hn::Zero(df), hn::Zero(df), hn::Zero(df)};
    for (int64_t i = 0; i < whole; i += n) {
      const VF x = hn::Load(df, q + i);
      for (int m = 0; m < kKeysAtOnce; ++m) sum[m] = hn::MulAdd(x, RowLoader<kType>::Load(df, row[m], i), sum[m]);
    }
    if (whole < d) {
      const VF x = hn::Load(df, q + whole);
      for (int m = 0; m < kKeysAtOnce; ++m) {
        sum[m] = hn::MulAdd(x, LoadTail<kType>(df, row[m], whole, d - whole), sum[m]);
      }
    }
    StoreSums(sum, scores + j);
  }
}

void ScoreKeysSimd(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys,
                   float* scores) {
  WithType(head_keys.type, [&](auto type) { ScoreKeysOfType<type>(q, head_keys, d, keys, scores); });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace topk
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace topk {

HWY_EXPORT(ScoreKeysSimd);

void ScoreKeys(const float* q, const TensorView& head_keys, int64_t d, std::span<const KeyIndex> keys, float* scores) {
  HWY_DYNAMIC_DISPATCH(ScoreKeysSimd)(q, head_keys, d, keys, scores);
}

}  // namespace topk
#endif  // HWY_ONCE
