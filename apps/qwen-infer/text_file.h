// Text that a user names a file of.
#ifndef QWEN_INFER_APPS_TEXT_FILE_H_
#define QWEN_INFER_APPS_TEXT_FILE_H_

#include <string>

#include "topk/status.h"

namespace qwen_infer {

// All of the file; kInvalidArgument, naming path and reason, if it cannot be read or is no text in UTF-8.
topk::Status ReadTextFile(const std::string& path, std::string& out);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_TEXT_FILE_H_
