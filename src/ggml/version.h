// ggml's backend interface is internal: its structs change from commit to commit while its API version does not. So a
// plugin may only be used by the very ggml that it was compiled against.
#ifndef QWEN_INFER_SRC_GGML_VERSION_H_
#define QWEN_INFER_SRC_GGML_VERSION_H_

#include <string>
#include <string_view>

namespace qwen_infer {

struct GgmlVersion {
  std::string_view version;  // "0.25.3"
  std::string_view commit;   // "0c1e570", "unknown" for a source tree without git
};

// The ggml whose headers this was compiled with, and the one that the process has loaded. Static lifetime.
GgmlVersion BuiltGgmlVersion();
GgmlVersion LoadedGgmlVersion();

// Empty if they are the same; else a sentence that names both and the fix.
std::string VersionMismatch(const GgmlVersion& built, const GgmlVersion& loaded);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_GGML_VERSION_H_
