#include "atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <system_error>

namespace qwen_infer {

namespace fs = std::filesystem;

namespace {

topk::Status CannotWrite(const std::string& path, const char* reason) {
  return topk::InvalidArgument("cannot write " + path + ": " + reason);
}

bool IsSpecialFile(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

// Where the content goes before the rename: in the directory of the file itself, for a rename stays on one file system.
fs::path TemporaryPath(const fs::path& target) { return target.string() + "." + std::to_string(::getpid()) + ".tmp"; }

// Whether fsync had nothing to do, as for a pipe or a terminal.
bool CannotBeSynced(int error) { return error == EINVAL || error == ENOTSUP; }

topk::Status WriteAndSync(const fs::path& path, std::string_view content, const std::string& shown) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return CannotWrite(shown, std::strerror(errno));
  // On the disk before the rename: else a power cut may leave an empty file in the place of the old one.
  const bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size() &&
                       std::fflush(file) == 0 && (::fsync(::fileno(file)) == 0 || CannotBeSynced(errno));
  int error = written ? 0 : errno;
  if (std::fclose(file) != 0 && error == 0) error = errno;
  return error == 0 ? topk::Status() : CannotWrite(shown, std::strerror(error));
}

topk::Status Sync(const fs::path& path, const std::string& shown) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return CannotWrite(shown, std::strerror(errno));
  const int error = ::fsync(file) == 0 || CannotBeSynced(errno) ? 0 : errno;
  ::close(file);
  return error == 0 ? topk::Status() : CannotWrite(shown, std::strerror(error));
}

// The file that `path` stands for: links are followed, also to a file that does not exist yet.
fs::path Target(fs::path path) {
  constexpr int kMaxLinks = 40;  // as many as Linux follows
  std::error_code error;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(path, error); ++i) {
    path = path.parent_path() / fs::read_symlink(path, error);
  }
  return path;
}

// Has `write` make a temporary file and puts that in the place of `path`.
topk::Status Replace(const std::string& path, const std::function<topk::Status(const fs::path&)>& write) {
  const fs::path target = Target(path);
  std::error_code error;
  if (fs::is_directory(target, error)) return CannotWrite(path, "it is a directory");
  const fs::path temporary = TemporaryPath(target);
  topk::Status status = write(temporary);
  if (status.ok()) {
    fs::rename(temporary, target, error);
    if (error) status = CannotWrite(path, error.message().c_str());
  }
  if (!status.ok()) fs::remove(temporary, error);
  return status;
}

}  // namespace

topk::Status WriteFileAtomically(const std::string& path, std::string_view content) {
  if (IsSpecialFile(path)) return WriteAndSync(path, content, path);
  return Replace(path, [&](const fs::path& temporary) { return WriteAndSync(temporary, content, path); });
}

topk::Status ReplaceFileAtomically(const std::string& path,
                                   const std::function<topk::Status(const std::string& temporary)>& write) {
  if (IsSpecialFile(path)) return CannotWrite(path, "it is no regular file");
  return Replace(path, [&](const fs::path& temporary) {
    const topk::Status status = write(temporary.string());
    return status.ok() ? Sync(temporary, path) : status;
  });
}

topk::Status CheckWritable(const std::string& path) {
  if (IsSpecialFile(path)) {
    return ::access(path.c_str(), W_OK) == 0 ? topk::Status() : CannotWrite(path, std::strerror(errno));
  }
  const fs::path target = Target(path);
  std::error_code error;
  if (fs::is_directory(target, error)) return CannotWrite(path, "it is a directory");
  const fs::path temporary = TemporaryPath(target);
  topk::Status status = WriteAndSync(temporary, "", path);
  fs::remove(temporary, error);
  return status;
}

}  // namespace qwen_infer
