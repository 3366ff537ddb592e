/* The C header compiles as C, and C code can call it: used by c_api_test.cc. */
#include "topk/topk.h"

topk_status_code attend_one_key_from_c(float* out, const char* options, char* message, int64_t message_size);

topk_status_code attend_one_key_from_c(float* out, const char* options, char* message, int64_t message_size) {
  static const float kQ[2] = {1.0F, 0.0F};
  static const float kK[2] = {0.5F, 0.5F};
  static const float kV[2] = {3.0F, 4.0F};
  topk_attention_input input = {0};
  topk_attention_output output = {out, 8, 8, 8};
  input.n_batch = input.n_query = input.n_key = input.n_head = input.n_head_kv = 1;
  input.d_k = input.d_v = 2;
  input.q.data = kQ;
  input.k.data = kK;
  input.v.data = kV;
  input.scale = 1.0F;
  return topk_attention(&input, options, &output, 1, 0, message, message_size);
}
