// Text that a user names a file of.
#ifndef QWEN_INFER_APPS_TEXT_FILE_H_
#define QWEN_INFER_APPS_TEXT_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "topk/status.h"

namespace qwen_infer {

// More than any model reads: where a text that does not end is given up.
inline constexpr size_t kMostTextBytes = size_t{256} << 20;
// What is said of such a text.
std::string TooLong(std::string_view name);

// All of the file; kInvalidArgument, naming path and reason, if it cannot be read, is a device, has more than
// kMostTextBytes or is no text in UTF-8.
topk::Status ReadTextFile(const std::string& path, std::string& out);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_TEXT_FILE_H_
