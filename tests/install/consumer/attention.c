/* The same as attention.cc, in C. */
#include <math.h>
#include <stdio.h>

#include "topk/topk.h"

int main(void) {
  const float q[] = {1.0f};
  const float k[] = {0.0f, logf(3.0f), -5.0f};
  const float v[] = {1.0f, 5.0f, 100.0f};
  float out[1];

  topk_attention_input input = {
      .n_batch = 1, .n_query = 1, .n_key = 3, .n_head = 1, .n_head_kv = 1, .d_k = 1, .d_v = 1};
  input.q = (topk_tensor){q, TOPK_F32, sizeof(float), sizeof(float), 0};
  input.k = (topk_tensor){k, TOPK_F32, sizeof(float), sizeof(float), 0};
  input.v = (topk_tensor){v, TOPK_F32, sizeof(float), sizeof(float), 0};
  input.scale = 1.0f;
  const topk_attention_output output = {out, sizeof(float), sizeof(float), 0, NULL};
  char reason[512];
  if (topk_attention(&input, "k=2", &output, 2, NULL, reason, sizeof reason) != TOPK_OK) {
    fprintf(stderr, "error: %s\n", reason);
    return 1;
  }
  printf("%.4f\n", out[0]);
  return 0;
}
