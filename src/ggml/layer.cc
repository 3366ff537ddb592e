#include "layer.h"

#include <ggml.h>

#include <charconv>

#include "settings.h"

namespace qwen_infer {
namespace {

// Casts, copies and concatenations between the cache and the op, and what is done to a query after it was named;
// llama.cpp v0.5.0 has at most five.
constexpr int kMaxSteps = 8;

// The number that `text` begins with, if a layer can have it.
int LeadingLayer(std::string_view text) {
  int layer = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), layer);
  return error == std::errc() && layer >= 0 && layer <= kMaxLayer ? layer : kUnknownLayer;
}

int LayerOfCache(const ggml_tensor* tensor) {
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

int LayerOfQuery(const ggml_tensor* tensor) {
  for (int step = 0; tensor != nullptr && step < kMaxSteps; ++step) {
    if (const int layer = LayerOfQueryName(tensor->name); layer != kUnknownLayer) return layer;
    // With a quantised cache the query is rotated: the second operand of a product with the rotation.
    tensor = tensor->src[tensor->op == GGML_OP_MUL_MAT ? 1 : 0];
  }
  return kUnknownLayer;
}

}  // namespace

int LayerOfCacheName(std::string_view name) {
  constexpr std::string_view kPrefix = "cache_";
  constexpr std::string_view kInfix = "k_l";
  const size_t prefix = name.find(kPrefix);
  if (prefix == std::string_view::npos) return kUnknownLayer;
  const size_t infix = name.find(kInfix, prefix + kPrefix.size());
  if (infix == std::string_view::npos) return kUnknownLayer;
  return LeadingLayer(name.substr(infix + kInfix.size()));
}

int LayerOfQueryName(std::string_view name) {
  const size_t end = name.find(' ');  // of views: "Qcur-3 (view) (permuted)"
  const size_t dash = name.substr(0, end).rfind('-');
  return dash == std::string_view::npos ? kUnknownLayer : LeadingLayer(name.substr(dash + 1));
}

int LayerOf(const ggml_tensor& op) {
  const int of_cache = LayerOfCache(op.src[1]);
  if (of_cache == kUnknownLayer) return kUnknownLayer;
  const int of_query = LayerOfQuery(op.src[0]);
  return of_query == kUnknownLayer ? of_cache : of_query;
}

}  // namespace qwen_infer
