// Exact top-k attention on plain memory, after "Memory-efficient Transformers via Top-k Attention" (Gupta et al.,
// 2021).
//
// For each query q of each head, over the keys j that its mask leaves visible:
//   s_j = softcap(scale / temperature * q.k_j) + slope * mask_j     softcap(x) = cap * tanh(x / cap), or x
//   S   = the k largest s_j (equal scores: the lowest j first; NaN ranks lowest)
//         + the first `sinks` and the last `window` visible keys
//   out = sum_{j in S} exp(s_j) v_j / (sum_{j in S} exp(s_j) + exp(sink_logit))     with Activation::kSoftmax
//       = sum_{j in S} max(0, s_j) v_j                                              with Activation::kRelu
// A row without visible keys gives zeros. With at most k visible keys the result is full attention.
//
// The set S is decided by scores summed in f64 in a fixed order, so it is the same for every thread count, tile and
// SIMD target. The outputs agree to the rounding of scores in f32, which is relative to sum_i |q_i k_i|. With min_mass
// how many keys a row keeps follows from a sum of exponentials in f32, which may come out one more or one less on
// another SIMD target; which keys they are is exact. Pays against dense attention from about a thousand keys on.
//
// A row that sees few of the keys between its first and last visible one reads only those. So under a sparse mask
// (trained sparse attention, one of many sequences in a shared cache) the cost is O(visible keys * d) and a look at the
// mask; AttentionInput::most_visible makes it one look for all KV heads.
//
// Scratch is O(workers * tile * (k + d)) bytes, plus two bytes for each number of K where many queries may be scanned
// in integers (TopKOptions::scan; one if in int8 alone), plus where many queries see up to 4,096 keys four bytes for
// each number of K and the scores of a tile for each worker, plus four bytes for each key that
// most_visible lets a mask row show, where that is a small part. It is allocated on the calling thread before the work
// starts: see ScratchBytes. Nothing of size n_q * n_kv is ever allocated. Safe to call from many threads at once.
#ifndef TOPK_ATTENTION_H_
#define TOPK_ATTENTION_H_

#include <cstdint>
#include <vector>

#include "topk/options.h"
#include "topk/parallel.h"
#include "topk/selection.h"
#include "topk/status.h"
#include "topk/tensor.h"

namespace topk {

inline constexpr int64_t kMaxHeadSize = 1024;

// Most keys, and most queries, of a call: loops over blocks count past the end.
inline constexpr int64_t kMaxKeys = (int64_t{1} << 31) - 1025;

// From the scores of the selection to its weights. With kRelu this is the paper's feed-forward layer: K and V are the
// two weight matrices [d_ff, d] seen as keys and values, and the mask is the first bias, one number a key.
enum class Activation : uint8_t {
  kSoftmax,
  kRelu  // no rows run dense; refused with min_mass, mass and sink_logits, which are softmax's
};

struct AttentionInput {
  int64_t n_batch = 1;    // independent sequences, each with its own keys
  int64_t n_query = 0;    // may be 0
  int64_t n_key = 0;      // may be 0; below 2^31
  int64_t n_head = 1;     // query heads, a multiple of n_head_kv
  int64_t n_head_kv = 1;  // query head h reads KV head h / (n_head / n_head_kv)
  int64_t d_k = 0;        // 1 to kMaxHeadSize
  int64_t d_v = 0;        // 1 to kMaxHeadSize

  TensorView q;  // f32 [n_batch, n_query, n_head, d_k]
  TensorView k;  // [n_batch, n_key, n_head_kv, d_k]
  TensorView v;  // [n_batch, n_key, n_head_kv, d_v]

  MaskView mask;        // [mask.n_batch, mask.n_head, n_query, n_key]
  bool causal = false;  // query i sees keys 0 .. n_key - n_query + i; on top of the mask
  // That no row of the mask leaves more keys visible, if the caller knows (0: it does not). A hint: where it holds and
  // is a small part of n_key, the mask is read once for all KV heads; a row that sees more is computed all the same.
  int64_t most_visible = 0;

  float scale = 1.0F;                  // usually 1 / sqrt(d_k)
  float softcap = 0.0F;                // 0: none
  float alibi_max_bias = 0.0F;         // 0: slope 1; else the mask is multiplied by the head's ALiBi slope
  const float* sink_logits = nullptr;  // [n_head] or null: a logit without a value, in the denominator only
  Activation activation = Activation::kSoftmax;

  // Dropout of the weights: each is set to 0 with this probability, else divided by 1 - p. Which, is a hash of the
  // seed, the row's number in [batch, query, head] and the key, so the backward pass replays it. No rows run dense
  // then.
  float dropout_p = 0.0F;  // 0 (none) to below 1
  uint64_t dropout_seed = 0;
};

// Sums over the rows (query and head) of one call; add them up with Add.
struct Statistics {
  int64_t rows = 0;
  int64_t dense_rows = 0;  // rows that kept every key or ran dense
  int64_t keys_seen = 0;   // visible keys, summed over rows
  int64_t keys_kept = 0;
  // Keys scored in f32, summed over rows: all that a row sees, but where a scan in integers has ruled the others out.
  int64_t keys_scored = 0;
  int64_t mass_rows = 0;  // rows whose mass was measured
  double mass_sum = 0.0;  // over those rows
  double mass_min = 1.0;  // over those rows
  double seconds = 0.0;   // wall time of the calls

  void Add(const Statistics& other);
  double MeanMass() const { return mass_rows > 0 ? mass_sum / static_cast<double>(mass_rows) : 1.0; }
  // What the mass guarantees: every number of a row's output differs from that of full attention, with the same
  // temperature, by at most this times the largest |v| that the row sees. Of all rows if mass_rows == rows.
  double DeviationBound() const { return 2 * (1 - mass_min); }
  // Of the visible keys; 1 where there are none.
  double KeptShare() const {
    return keys_seen > 0 ? static_cast<double>(keys_kept) / static_cast<double>(keys_seen) : 1.0;
  }
  // Attention state that dense attention would have kept per row and head, one f32 score a key.
  int64_t OperationsSaved() const { return keys_seen - keys_kept; }
  int64_t BytesSaved() const { return 4 * OperationsSaved(); }
};

struct AttentionOutput {
  OutputView out;                    // f32 [n_batch, n_query, n_head, d_v]
  Selection* selection = nullptr;    // filled if not null; every row then runs sparse, whatever options.crossover
  Statistics* statistics = nullptr;  // overwritten if not null
  // [n_batch, n_query, n_head] if not null: the mass of each row. NaN for rows whose mass was not measured
  // (options.mass) or that see no keys.
  float* mass = nullptr;
};

// Checks all arguments, then computes. On any error but none in between, the output is untouched.
Status Attention(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output,
                 const Executor& executor);

// Bytes of scratch that Attention allocates for this call, without the selection.
int64_t ScratchBytes(const AttentionInput& input, const TopKOptions& options, int n_workers);

// Same contract as Attention, in plain f64 loops on one thread: what every SIMD path is tested against.
// No tile, no threshold; O(n_key) memory.
Status ReferenceAttention(const AttentionInput& input, const TopKOptions& options, const AttentionOutput& output);

// weights[i] = selection.weights[i] after the dropout of `input`: what the values were multiplied by. weights has room
// for selection.keys.size() numbers and may be selection.weights itself. The row offsets must ascend and end there.
void ApplyDropout(const AttentionInput& input, const SelectionView& selection, float* weights);

// Names of the SIMD targets that this build has and this machine runs, best first: "AMX" (AVX3, and AMX and
// AVX512-FP16 where they help), "AVX3", "AVX2", "SSE4", ...
std::vector<const char*> SimdTargets();

// Restricts Attention to one of SimdTargets() from now on, or to the best again (null). False if there is no such
// target. For tests and benchmarks; not to be called while Attention runs.
bool UseSimdTarget(const char* name);

}  // namespace topk

#endif  // TOPK_ATTENTION_H_
