// The text of files and folders.
#ifndef QWEN_INFER_EVAL_TEXT_H_
#define QWEN_INFER_EVAL_TEXT_H_

#include <cstdint>
#include <span>
#include <string>

#include "topk/status.h"

namespace qwen_infer::eval {

struct Text {
  std::string text;  // of all files, one after the other
  int64_t files = 0;
  int64_t skipped = 0;  // files of folders that are no text in UTF-8, or empty
};

// Reads files as they are named, and of folders all that is below them in the order of their paths: hidden files and
// folders, and links to folders, are left out. suffixes: of files in folders, ".py"; none: all. kInvalidArgument,
// naming it, if something cannot be read, a file that was named is no text in UTF-8, or nothing is there.
topk::Status ReadText(std::span<const std::string> paths, std::span<const std::string> suffixes, Text& out);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_TEXT_H_
