// Texts side by side.
#ifndef QWEN_INFER_APPS_COLUMNS_H_
#define QWEN_INFER_APPS_COLUMNS_H_

#include <algorithm>
#include <cstddef>
#include <string>

namespace qwen_infer {

// With blanks up to `width`, or one if it is as wide as that.
inline std::string Pad(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_COLUMNS_H_
