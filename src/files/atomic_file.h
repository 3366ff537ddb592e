// Files that are either whole or not there.
#ifndef QWEN_INFER_SRC_FILES_ATOMIC_FILE_H_
#define QWEN_INFER_SRC_FILES_ATOMIC_FILE_H_

#include <functional>
#include <string>
#include <string_view>

#include "topk/status.h"

namespace qwen_infer {

// Writes `content` to a temporary file beside `path` and renames it to `path`, so that a reader sees the old file or
// the new one, never a part, also after a power cut. Symbolic links are followed. What is no regular file (a terminal,
// /dev/stdout, a pipe) is written directly. Blocking; not to be called for one path from two threads at once.
topk::Status WriteFileAtomically(const std::string& path, std::string_view content);

// The same for a file that `write` makes: it gets the temporary file's path. Its error is passed on, and nothing is
// left behind. Refuses a `path` that is no regular file.
topk::Status ReplaceFileAtomically(const std::string& path,
                                   const std::function<topk::Status(const std::string& temporary)>& write);

// An error, naming path and reason, if WriteFileAtomically(path) would fail now. Leaves no file behind.
topk::Status CheckWritable(const std::string& path);

}  // namespace qwen_infer

#endif  // QWEN_INFER_SRC_FILES_ATOMIC_FILE_H_
