/* Exact top-k attention in plain C; see topk/attention.h and topk/backward.h for what it computes. The structs mirror
 * the C++ ones: shapes in elements, strides in bytes, nothing here owns memory. Every function may be called from many
 * threads at once. */
#ifndef TOPK_TOPK_H_
#define TOPK_TOPK_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { TOPK_F32 = 0, TOPK_F16 = 1, TOPK_BF16 = 2, TOPK_Q8_0 = 3 } topk_data_type;

typedef enum { TOPK_SOFTMAX = 0, TOPK_RELU = 1 } topk_activation;

typedef enum {
  TOPK_OK = 0,
  TOPK_INVALID_ARGUMENT = 1,
  TOPK_OUT_OF_MEMORY = 2,
  TOPK_BUDGET_COVERS_ALL_KEYS = 3
} topk_status_code;

/* [batch, token, head, d]; the d numbers of a row are contiguous. */
typedef struct {
  const void* data;
  int32_t type; /* a topk_data_type */
  int64_t token_stride, head_stride, batch_stride;
} topk_tensor;

/* [batch % n_batch, head % n_head, query, key], f16 or f32, keys contiguous; -inf hides. Null data: no mask. */
typedef struct {
  const void* data;
  int32_t type; /* a topk_data_type */
  int64_t n_head, n_batch;
  int64_t query_stride, head_stride, batch_stride;
} topk_mask;

typedef struct {
  int64_t n_batch, n_query, n_key, n_head, n_head_kv, d_k, d_v;
  topk_tensor q, k, v; /* q is f32 */
  topk_mask mask;
  bool causal;
  float scale, softcap, alibi_max_bias;
  const float* sink_logits; /* [n_head] or null */
  int32_t activation;       /* a topk_activation */
  float dropout_p;          /* 0 to below 1 */
  uint64_t dropout_seed;
} topk_attention_input;

/* Which keys were kept, to give to the backward pass. */
typedef struct topk_selection topk_selection;

/* Its rows as CSR in the order [batch, query, head]: row r has entries [row_offsets[r], row_offsets[r + 1]). */
typedef struct {
  const int64_t* row_offsets; /* n_rows + 1, the first 0 */
  const int32_t* keys;        /* n_entries, ascending within a row */
  const float* weights;       /* n_entries, before dropout */
  int64_t n_rows, n_entries;
} topk_selection_view;

/* An empty one; null if there is no memory. */
topk_selection* topk_selection_create(void);
/* Null is allowed. */
void topk_selection_destroy(topk_selection* selection);
/* Valid until the selection is written again or destroyed. */
topk_selection_view topk_selection_get(const topk_selection* selection);

/* f32 [batch, token, head, d] */
typedef struct {
  float* data;
  int64_t token_stride, head_stride, batch_stride;
  topk_selection* selection; /* of the forward pass: filled if not null */
} topk_attention_output;

typedef struct {
  int64_t rows, dense_rows, keys_seen, keys_kept, mass_rows;
  double mass_sum, mass_min, seconds;
  int64_t keys_scored;
} topk_statistics;

/* Computes attention. `options`: "k=256,sinks=4,..." with the fields of topk::TopKOptions; null or empty: defaults.
 * n_threads below 1: all threads of OpenMP; 1,024 at most. statistics may be null. On failure `message` (may be null)
 * receives up to message_size bytes of a zero-terminated reason (512 hold all of them), and the output is untouched. */
topk_status_code topk_attention(const topk_attention_input* input, const char* options,
                                const topk_attention_output* output, int n_threads, topk_statistics* statistics,
                                char* message, int64_t message_size);

/* f32 [batch, token, head, d]; null data: not computed. */
typedef struct {
  float* data;
  int64_t token_stride, head_stride, batch_stride;
} topk_gradient;

typedef struct {
  topk_gradient d_q, d_k, d_v;
  float* d_scores; /* [n_entries] or null */
  double* d_scale; /* one number, of scale / temperature, or null */
} topk_gradients;

/* Gradients of topk_attention with the same input and options. d_out: f32 [n_batch, n_query, n_head, d_v]. On failure
 * no gradient is touched. */
topk_status_code topk_attention_backward(const topk_attention_input* input, const char* options,
                                         const topk_selection_view* selection, const topk_tensor* d_out,
                                         const topk_gradients* gradients, int n_threads, char* message,
                                         int64_t message_size);

#ifdef __cplusplus
}
#endif

#endif /* TOPK_TOPK_H_ */
