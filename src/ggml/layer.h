// Which layer of the model an attention op belongs to.
#ifndef QWEN_INFER_SRC_GGML_LAYER_H_
#define QWEN_INFER_SRC_GGML_LAYER_H_

#include <string_view>

struct ggml_tensor;

namespace qwen_infer {

// The layer of a FLASH_ATTN_EXT op, or kUnknownLayer (statistics.h). The op itself has no name; but its K is a view of
// the cache, and llama.cpp names that "cache_k_l<N>", for sliding-window layers too, or "cache_<tag>k_l<N>". Where K is
// computed from the cache (cast, or concatenated with a second cache) the layer is that of the first operand.
// Encoders without a cache are of unknown layer.
int LayerOf(const ggml_tensor& op);

// The N of "cache_k_l<N>", wherever it stands in `name`, or kUnknownLayer.
int LayerOfCacheName(std::string_view name);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_LAYER_H_
