// Gradients of top-k attention: the backward pass of Attention, for training.
//
// The selection S of the forward pass is a constant (as in Gupta et al., 2021: a key that was not selected gets no
// gradient from that row). For each row, with w its weights in the selection, f_j its dropout factors (1 without
// dropout, else 0 or 1 / (1 - p), see ApplyDropout) and go the gradient of its output:
//   g_j  = f_j go.v_j
//   ds_j = w_j (g_j - sum_{i in S} w_i g_i)       softmax, with sink logits too
//        = g_j where w_j > 0, else 0              ReLU
//   dx_j = ds_j softcap'(c q.k_j)                 c = scale / temperature
//   d_q  = c sum_{j in S} dx_j k_j
//   d_k_j = c sum over rows of dx_j q             d_v_j = sum over rows of f_j w_j go
//   d_scores_j = ds_j                             d_scale = sum over rows and keys of dx_j q.k_j
// d_k and d_v of a KV head sum over the query heads that read it.
//
// Costs O(entries * (d_k + d_v)) time, where entries is the size of the selection. A few KV heads are computed at a
// time, as many as give the workers work; scratch is about 5 bytes for each of their entries, a copy of what they
// read unless it is f32 with the rows of a head side by side, of a multiple of 16 numbers each, and up to 256 KiB a
// worker: nothing of size n_query * n_key. Pays like Attention does.
//
// Deterministic: every sum is made in a fixed order (rows ascending), so gradients have the same bits for every thread
// count. On another SIMD target they differ by the rounding of f32. Numbers that are not finite go on into the
// gradients they take part in. Safe to call from many threads at once.
#ifndef TOPK_BACKWARD_H_
#define TOPK_BACKWARD_H_

#include "topk/attention.h"
#include "topk/options.h"
#include "topk/parallel.h"
#include "topk/selection.h"
#include "topk/status.h"
#include "topk/tensor.h"

namespace topk {

// Where gradients go: overwritten, not added to. Whatever is null is not computed.
struct AttentionGradients {
  OutputView d_q;  // f32 [n_batch, n_query, n_head, d_k]
  OutputView d_k;  // f32 [n_batch, n_key, n_head_kv, d_k]; zeros for keys that no row selected
  OutputView d_v;  // f32 [n_batch, n_key, n_head_kv, d_v]
  // [entries], in the order of selection.keys: of each selected s_j, and so of what a mask adds to it.
  float* d_scores = nullptr;
  // One number: of c. Hence d_temperature = -d_scale * scale / temperature^2.
  double* d_scale = nullptr;
};

// input, options: those of the forward pass (only q, k, v, shapes, scale, soft-cap, activation and dropout of the input
// and the temperature of the options are read; what a mask, causal or sinks did is in the selection). selection: what
// that pass gave, or any other with ascending keys. d_out: f32 [n_batch, n_query, n_head, d_v].
//
// kInvalidArgument, naming the argument, for what Attention refuses; a selection whose size is not that of the input,
// whose offsets do not ascend or whose keys do not ascend in [0, n_key) within a row; d_out that is not f32. On any
// error no gradient has been touched.
Status AttentionBackward(const AttentionInput& input, const TopKOptions& options, const SelectionView& selection,
                         const TensorView& d_out, const AttentionGradients& gradients, const Executor& executor);

// Bytes of scratch that AttentionBackward allocates for this call, at most.
int64_t BackwardScratchBytes(const AttentionInput& input, const SelectionView& selection,
                             const AttentionGradients& gradients, int n_workers);

// Same contract as AttentionBackward, in plain f64 loops on one thread.
Status ReferenceAttentionBackward(const AttentionInput& input, const TopKOptions& options,
                                  const SelectionView& selection, const TensorView& d_out,
                                  const AttentionGradients& gradients);

}  // namespace topk

#endif  // TOPK_BACKWARD_H_
