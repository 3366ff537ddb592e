// The steps of the backward pass that other rooms don't have: products of rows with the keys that they selected, from
// the gradients of weights to those of scores, and the sums that keys receive from the rows that selected them.
#ifndef TOPK_SRC_BACKWARD_GRADIENTS_H_
#define TOPK_SRC_BACKWARD_GRADIENTS_H_

#include <cstdint>

#include "topk/attention.h"

namespace topk {

// From g = gradients of weights w, in place, to those of scores:
//   softmax: g_j = w_j (g_j - sum_i w_i g_i)      ReLU: g_j = w_j > 0 ? g_j : 0
// padded_count: a multiple of kMaxLanes; numbers past the row are 0 in both arrays, which are 64-byte aligned. The sum
// has one order on each SIMD target. No allocation; any thread.
void ScoreGradients(Activation activation, const float* weights, int64_t padded_count, float* gradients);
void ScoreGradientsReference(Activation activation, const float* weights, int64_t padded_count, float* gradients);

// gradients[j] *= softcap'(x_j), where capped[j] = softcap(x_j) = cap tanh(x_j / cap): 1 - (capped[j] / cap)^2. Same
// conditions.
void SoftcapGradients(float cap, const float* capped, int64_t padded_count, float* gradients);
void SoftcapGradientsReference(float cap, const float* capped, int64_t padded_count, float* gradients);

// The entries of one range of keys in consecutive rows of a KV head. A row's entries lie at `begins` in the selection
// and at `firsts` in what is computed for the head.
struct RangeEntries {
  int64_t n_rows = 0;
  const KeyIndex* keys = nullptr;    // of the selection
  const int64_t* begins = nullptr;   // [n_rows]
  const int64_t* firsts = nullptr;   // [n_rows]
  const uint32_t* starts = nullptr;  // row r has entries [starts[r * stride], starts[r * stride + 1]) of its own
  int64_t start_stride = 0;
  KeyIndex first_key = 0;  // of the range
};

// Rows of f32, padded with zeros to `d`, a multiple of kMaxLanes; aligned to 64 bytes, as all of these are.
struct PaddedRows {
  const float* data = nullptr;
  int64_t d = 0;

  const float* Row(int64_t row) const { return data + row * d; }
};

// dots[firsts[r] + e] = x_r . y_j for the entries e of every row, j its key. No allocation; any thread.
void DotEntries(const RangeEntries& entries, const PaddedRows& x, const PaddedRows& y, float* dots);
void DotEntriesReference(const RangeEntries& entries, const PaddedRows& x, const PaddedRows& y, float* dots);

// A factor for each entry, and what it multiplies.
struct KeyTerms {
  PaddedRows x;                     // d = 0: nothing to add
  const float* factors = nullptr;   // of row r from begins[r] on
  const int64_t* begins = nullptr;  // [n_rows]
};

// sums[j - first_key] += (factor_e * x_r of `a`, then factor_e * x_r of `b`) for the entries e of every row, j its key,
// rows ascending. A key's sums have a.x.d + b.x.d numbers and keys lie next to each other, whatever the strides of the
// gradients, so that a range stays in the cache. One fused or two roundings a term, as the SIMD target has them. No
// allocation; any thread.
void AddToKeys(const RangeEntries& entries, const KeyTerms& a, const KeyTerms& b, float* sums);
void AddToKeysReference(const RangeEntries& entries, const KeyTerms& a, const KeyTerms& b, float* sums);

}  // namespace topk

#endif  // TOPK_SRC_BACKWARD_GRADIENTS_H_
