// Types of K and V as flags name them.
#ifndef QWEN_INFER_BENCH_SHARED_READ_TYPE_H_
#define QWEN_INFER_BENCH_SHARED_READ_TYPE_H_

#include <ggml.h>

#include <algorithm>
#include <span>
#include <string_view>

namespace qwen_infer {

// The one of `types` with that name.
inline bool ReadType(std::string_view text, std::span<const ggml_type> types, ggml_type& out) {
  const auto found =
      std::find_if(types.begin(), types.end(), [text](ggml_type type) { return ggml_type_name(type) == text; });
  if (found == types.end()) return false;
  out = *found;
  return true;
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_READ_TYPE_H_
