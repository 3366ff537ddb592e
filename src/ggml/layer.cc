#include "layer.h"

#include <ggml.h>

#include <charconv>

#include "settings.h"

namespace qwen_infer {
namespace {

// Casts, copies and concatenations between the cache and the op; llama.cpp v0.5.0 has at most four.
constexpr int kMaxSteps = 8;

}  // namespace

int LayerOfCacheName(std::string_view name) {
  constexpr std::string_view kPrefix = "cache_";
  constexpr std::string_view kInfix = "k_l";
  const size_t prefix = name.find(kPrefix);
  if (prefix == std::string_view::npos) return kUnknownLayer;
  const size_t infix = name.find(kInfix, prefix + kPrefix.size());
  if (infix == std::string_view::npos) return kUnknownLayer;
  const char* const digits = name.data() + infix + kInfix.size();
  int layer = 0;
  const auto [end, error] = std::from_chars(digits, name.data() + name.size(), layer);
  if (error != std::errc() || layer < 0 || layer > kMaxLayer) return kUnknownLayer;
  return layer;
}

int LayerOf(const ggml_tensor& op) {
  const ggml_tensor* tensor = op.src[1];
  for (int step = 0; tensor != nullptr && step < kMaxSteps; ++step) {
    // ggml makes view_src the tensor that owns the memory, however long the chain of views.
    if (tensor->view_src != nullptr) {
      if (const int layer = LayerOfCacheName(tensor->view_src->name); layer != kUnknownLayer) return layer;
    }
    // Its own name tells when the scheduler has copied it from another device: "TOPK#cache_k_l3 (view)#0".
    if (const int layer = LayerOfCacheName(tensor->name); layer != kUnknownLayer) return layer;
    tensor = tensor->src[0];
  }
  return kUnknownLayer;
}

}  // namespace qwen_infer
