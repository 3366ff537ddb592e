/* The C header compiles as C, and C code can call it: used by c_api_test.cc. */
#include "topk/topk.h"

topk_status_code attend_one_key_from_c(float* out, const char* options, char* message, int64_t message_size);

topk_status_code attend_one_key_from_c(float* out, const char* options, char* message, int64_t message_size) {
  static const float kQ[2] = {1.0F, 0.0F};
  static const float kK[2] = {0.5F, 0.5F};
  static const float kV[2] = {3.0F, 4.0F};
  topk_attention_input input = {0};
  topk_attention_output output = {out, 8, 8, 8, 0};
  input.n_batch = input.n_query = input.n_key = input.n_head = input.n_head_kv = 1;
  input.d_k = input.d_v = 2;
  input.q.data = kQ;
  input.k.data = kK;
  input.v.data = kV;
  input.scale = 1.0F;
  return topk_attention(&input, options, &output, 1, 0, message, message_size);
}

topk_status_code train_two_keys_from_c(float* d_v, topk_selection_view* kept, topk_selection* selection);

/* Both scores are 0 and both weights 1/2: each value receives half of d_out. */
topk_status_code train_two_keys_from_c(float* d_v, topk_selection_view* kept, topk_selection* selection) {
  static const float kQ[2] = {1.0F, 0.0F};
  static const float kK[4] = {0.0F, 1.0F, 0.0F, 2.0F};
  static const float kV[2] = {3.0F, 4.0F};
  static const float kDOut[1] = {8.0F};
  float out[1];
  topk_attention_input input = {0};
  topk_attention_output output = {out, 4, 4, 4, selection};
  topk_tensor d_out = {kDOut, TOPK_F32, 4, 4, 4};
  topk_gradients gradients = {0};
  topk_status_code code = TOPK_OK;
  input.n_batch = input.n_query = input.n_head = input.n_head_kv = 1;
  input.n_key = 2;
  input.d_k = 2;
  input.d_v = 1;
  input.q.data = kQ;
  input.k.data = kK;
  input.k.token_stride = 8;
  input.v.data = kV;
  input.v.token_stride = 4;
  input.scale = 1.0F;
  gradients.d_v.data = d_v;
  gradients.d_v.token_stride = gradients.d_v.head_stride = gradients.d_v.batch_stride = 4;
  code = topk_attention(&input, "k=2", &output, 1, 0, 0, 0);
  if (code != TOPK_OK) return code;
  *kept = topk_selection_get(selection);
  return topk_attention_backward(&input, "k=2", kept, &d_out, &gradients, 1, 0, 0);
}
