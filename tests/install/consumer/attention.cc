// One query of size 1 over three keys with the scores 0, ln 3 and -5. The two best have the weights 1/4 and 3/4, and
// their values are 1 and 5: 4. Full attention would give 4.16, for the third value is 100.
#include "topk/attention.h"

#include <cmath>
#include <cstdio>

int main() {
  const float q[] = {1.0F};
  const float k[] = {0.0F, std::log(3.0F), -5.0F};
  const float v[] = {1.0F, 5.0F, 100.0F};
  float out[1];

  topk::AttentionInput input;
  input.n_query = 1;
  input.n_key = 3;
  input.d_k = 1;
  input.d_v = 1;
  input.q = {q, topk::DataType::kF32, sizeof(float), sizeof(float), 0};
  input.k = {k, topk::DataType::kF32, sizeof(float), sizeof(float), 0};
  input.v = {v, topk::DataType::kF32, sizeof(float), sizeof(float), 0};
  const topk::Status status =
      topk::Attention(input, {.k = 2}, {{out, sizeof(float), sizeof(float), 0}}, topk::OpenMpExecutor(2));
  if (!status.ok()) {
    std::fprintf(stderr, "error: %s\n", status.message().c_str());
    return 1;
  }
  std::printf("%.4f\n", out[0]);
  return 0;
}
