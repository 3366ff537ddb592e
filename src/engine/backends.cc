#include "engine/backends.h"

#include <dlfcn.h>
#include <ggml-backend.h>
#include <llama.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>

namespace qwen_infer {

namespace {

bool HasCpu() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr; }

// ggml itself looks beside the executable, which may be Python's.
std::string FolderOfLibllama() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&llama_backend_init), &info) == 0 || info.dli_fname == nullptr) return ".";
  std::error_code error;
  const std::filesystem::path file = std::filesystem::canonical(info.dli_fname, error);
  return error ? "." : file.parent_path().string();
}

}  // namespace

void ForgetPluginFile() {
  const char* path = std::getenv("GGML_BACKEND_PATH");
  if (path != nullptr && std::filesystem::path(path).filename() == "libggml-topk.so") unsetenv("GGML_BACKEND_PATH");
}

void EnsureBackends() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (HasCpu()) return;
  ForgetPluginFile();
  const std::string folder = FolderOfLibllama();
  ggml_backend_load_all_from_path(folder.c_str());
  if (!HasCpu()) throw std::runtime_error("ggml's CPU backend (libggml-cpu*.so) is not in " + folder);
  llama_backend_init();
}

}  // namespace qwen_infer
