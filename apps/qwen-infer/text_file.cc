#include "text_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "engine/text_stream.h"

namespace qwen_infer {

std::string TooLong(std::string_view name) {
  return std::string(name) + " has more than " + std::to_string(kMostTextBytes >> 20) +
         " MiB, which no model reads: give a part of it";
}

topk::Status ReadTextFile(const std::string& path, std::string& out) {
  std::error_code error;
  const auto cannot_read = [&path](const std::string& why) {
    return topk::InvalidArgument("cannot read " + path + ": " + why);
  };
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) return cannot_read("it is a folder");
  if (std::filesystem::is_character_file(status) || std::filesystem::is_block_file(status)) {
    return cannot_read("it is a device, and may have no end");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return cannot_read(std::strerror(errno));
  out.clear();
  std::array<char, 65536> bytes = {};
  while (file.read(bytes.data(), bytes.size()), file.gcount() > 0) {
    out.append(bytes.data(), static_cast<size_t>(file.gcount()));
    if (out.size() > kMostTextBytes) return topk::InvalidArgument(TooLong(path));
  }
  if (file.bad()) return cannot_read(std::strerror(errno));
  if (const size_t valid = ValidUtf8(out); valid != out.size()) {
    return topk::InvalidArgument(path + " is no text in UTF-8, byte " + std::to_string(valid) +
                                 " begins no character: convert it (iconv -t UTF-8)");
  }
  return {};
}

}  // namespace qwen_infer
