// Self-attention over 1,000 tokens in which each query keeps its 32 best keys.
//   usage: attention_layer [WEIGHTS.safetensors]     weights of torch.nn.MultiheadAttention(256, 8); else random ones
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "topk/layer.h"

int main(int argc, char** argv) {
  const auto check = [](const topk::Status& status) {
    if (!status.ok()) std::fprintf(stderr, "error: %s\n", status.message().c_str());
    return status.ok();
  };
  std::unique_ptr<topk::TopKAttention> layer;
  if (!check(topk::TopKAttention::Create({.embed_dim = 256, .num_heads = 8, .causal = true}, {.k = 32}, layer)))
    return 1;
  if (argc > 1 && !check(layer->LoadSafetensors(argv[1]))) return 1;

  constexpr int64_t kTokens = 1000;
  std::vector<float> tokens(kTokens * 256);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::sin(static_cast<float>(i));
  std::vector<float> output(tokens.size());
  topk::Selection selection;
  if (!check(layer->Forward({.batch = 1, .n_query = kTokens, .query = tokens}, {output, &selection},
                            topk::OpenMpExecutor(0)))) {
    return 1;
  }

  std::printf("%zu weights kept of %d; the last row keeps keys", selection.keys.size(), 8 * 1000 * 1001 / 2);
  for (auto i = selection.row_offsets.end()[-2]; i < selection.row_offsets.back(); ++i) {
    std::printf(" %d", selection.keys[i]);
  }
  const topk::TopKAttentionMemoryStats stats = layer->GetMemoryStats();
  std::printf("\nscores not kept: %lld; mean mass of the kept keys: %.3f\n",
              static_cast<long long>(stats.total_memory_saved), stats.mean_mass);  // NOLINT(google-runtime-int): printf
}
