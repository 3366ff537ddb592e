// How the weights of a model will lie in memory.
#ifndef QWEN_INFER_SRC_ENGINE_WEIGHT_LAYOUT_H_
#define QWEN_INFER_SRC_ENGINE_WEIGHT_LAYOUT_H_

#include <string>

namespace qwen_infer {

// Whether ggml's CPU backend keeps a good part of a model file's weights in a layout of its own (tiles of AMX,
// interleaved rows). They are copied then, and a mapping of the file would stay in memory beside the copy. False if the
// file cannot be read. Reads the file's header; after EnsureBackends.
bool CpuCopiesWeights(const std::string& path);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_WEIGHT_LAYOUT_H_
