#include "text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

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
  return {};
}

}  // namespace qwen_infer
