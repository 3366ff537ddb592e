// llama.cpp loads its own backends where none is registered yet; with ours there already, it would find no CPU.
#include "ggml-backend.h"
#include "interpose.h"
#include "llama.h"

// Here and not when our backend is registered, because by now the tool has set up its log and read its verbosity: the
// messages of loading are those of a run without our backend.
extern "C" void llama_backend_init() {
  static auto* const kOriginal = qwen_infer::Original<decltype(llama_backend_init)>("llama_backend_init");
  kOriginal();
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) ggml_backend_load_all();
}
