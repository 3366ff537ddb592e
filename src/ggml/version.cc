#include "version.h"

#include <ggml-version.h>  // written by ggml's own CMake files, for ggml_version() and ggml_commit()
#include <ggml.h>

namespace qwen_infer {
namespace {

std::string Describe(const GgmlVersion& ggml) {
  return std::string(ggml.version) + " (commit " + std::string(ggml.commit) + ")";
}

}  // namespace

GgmlVersion BuiltGgmlVersion() { return {GGML_VERSION, GGML_COMMIT}; }

GgmlVersion LoadedGgmlVersion() { return {ggml_version(), ggml_commit()}; }

std::string VersionMismatch(const GgmlVersion& built, const GgmlVersion& loaded) {
  if (built.version == loaded.version && built.commit == loaded.commit) return {};
  return "built for ggml " + Describe(built) + " but loaded by ggml " + Describe(loaded) +
         "; build the plugin with -DQWEN_INFER_LLAMA_CPP=DIR, DIR being the source tree of the llama.cpp that loads it";
}

}  // namespace qwen_infer
