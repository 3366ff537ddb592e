// What ggml computes with.
#ifndef QWEN_INFER_SRC_ENGINE_BACKENDS_H_
#define QWEN_INFER_SRC_ENGINE_BACKENDS_H_

namespace qwen_infer {

// Unsets GGML_BACKEND_PATH if it names the plugin: the one that is linked into this program takes its place. Before
// backends are loaded.
void ForgetPluginFile();

// Starts llama.cpp and loads ggml's backends from the folder of libllama, once a process; safe from any thread. Throws
// std::runtime_error if there is no CPU backend.
void EnsureBackends();

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_ENGINE_BACKENDS_H_
