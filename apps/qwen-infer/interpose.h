// Functions of libllama that this program defines as well: the definition here is the one that llama.cpp's tools call.
// The linker exports it, because the shared libraries of this program refer to it.
#ifndef QWEN_INFER_APPS_INTERPOSE_H_
#define QWEN_INFER_APPS_INTERPOSE_H_

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace qwen_infer {

// llama.cpp's definition of such a function. Ends the process, after a message, if libllama has none: then this program
// runs with another libllama than it was built with.
template <typename Function>
Function* Original(const char* name) {
  void* address = dlsym(RTLD_NEXT, name);
  if (address == nullptr) {
    std::fprintf(stderr, "error: %s is missing in libllama: %s\n", name, dlerror());
    std::abort();
  }
  return reinterpret_cast<Function*>(address);
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_INTERPOSE_H_
