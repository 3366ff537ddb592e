// Which layer of the model an attention op belongs to.
#ifndef QWEN_INFER_SRC_GGML_LAYER_H_
#define QWEN_INFER_SRC_GGML_LAYER_H_

#include <string_view>

struct ggml_tensor;

namespace qwen_infer {

// The layer of a FLASH_ATTN_EXT op, or kUnknownLayer (statistics.h). The op itself has no name; but its K is a view of
// the cache, and llama.cpp names that "cache_k_l<N>", for sliding-window layers too, or "cache_<tag>k_l<N>". Where K is
// computed from the cache (cast, or concatenated with a second cache) the layer is that of the first operand.
// Some models have layers without keys of their own, which read the cache of an earlier one: what is computed in a
// layer is named "Qcur-<N>" or the like, so the query tells whose operation it is, and the cache where that has no such
// name. Encoders without a cache are of unknown layer.
int LayerOf(const ggml_tensor& op);

// The N of "cache_k_l<N>", wherever it stands in `name`, or kUnknownLayer.
int LayerOfCacheName(std::string_view name);

// The N of "Qcur-<N>" or "q_pe-<N> (view)", or kUnknownLayer.
int LayerOfQueryName(std::string_view name);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_LAYER_H_
