// Rows that the fast scan cannot decide: keys or queries that are not finite, or more ties than there is room for.
// Scores and softmax in f64, key by key; slow, and right.
#ifndef TOPK_SRC_CANONICAL_CANONICAL_ROW_H_
#define TOPK_SRC_CANONICAL_CANONICAL_ROW_H_

#include <cstdint>
#include <span>

#include "topk/call.h"
#include "topk/select/candidates.h"

namespace topk {

// Canonical scores of keys of one row.
class RowScorer final : public CanonicalScorer {
 public:
  RowScorer(const Call& call, const RowId& row);
  void Score(std::span<const KeyIndex> keys, double* scores) const override;

 private:
  const Call& call_;
  const float* query_;
  const uint8_t* mask_;
  double slope_;
  TensorView keys_;
};

struct CanonicalSelection {
  int64_t count = 0;         // selected keys, the first of `selected`, by key
  double log_sum_all = 0.0;  // log of the sum of exp(s) over all visible keys
};

// The exact selection of a row, sinks and window included, with the given budget for the others. `selected` has room
// for the larger of 2 * budget and budget + kBlockKeys, plus sinks and window (limited by the visible keys, plus
// kBlockKeys).
CanonicalSelection SelectCanonically(const Call& call, const RowId& row, int64_t budget, ScoredKey* selected);

// log of the sum of exp(s) over `count` keys in f64: -inf for none, NaN if a score is NaN or infinite.
double LogSumExp(const ScoredKey* keys, int64_t count);

// weights[j] = exp(s_j) / (sum over these keys of exp(s) + exp(sink_logit)), in f64 but for the result; sink_logit
// -inf: none.
void SoftmaxCanonically(const ScoredKey* keys, int64_t count, double sink_logit, float* weights);

// Dense attention of a row: out[0, d_v) = sum over all visible keys of exp(s) v / (sum exp(s) + exp(sink logit)). Two
// passes over the keys, O(d_v) memory.
void AttendAllCanonically(const Call& call, const RowId& row, float* out);

}  // namespace topk

#endif  // TOPK_SRC_CANONICAL_CANONICAL_ROW_H_
