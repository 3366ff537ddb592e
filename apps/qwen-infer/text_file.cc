#include "text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "engine/text_stream.h"

namespace qwen_infer {

topk::Status ReadTextFile(const std::string& path, std::string& out) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return topk::InvalidArgument("cannot read " + path + ": it is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file) return topk::InvalidArgument("cannot read " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return topk::InvalidArgument("cannot read " + path + ": " + std::strerror(errno));
  out = text.str();
  if (const size_t valid = ValidUtf8(out); valid != out.size()) {
    return topk::InvalidArgument(path + " is no text in UTF-8, byte " + std::to_string(valid) +
                                 " begins no character: convert it (iconv -t UTF-8)");
  }
  return {};
}

}  // namespace qwen_infer
