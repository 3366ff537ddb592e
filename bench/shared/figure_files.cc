#include "shared/figure_files.h"

#include <filesystem>
#include <system_error>

#include "atomic_file.h"

namespace qwen_infer {

namespace {

// However it is spelled, and through links. Terminals and pipes may be written to twice.
bool IsSameFile(const std::string& a, const std::string& b) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::exists(a, error) && !fs::is_regular_file(a, error)) return false;
  const fs::path first = fs::weakly_canonical(fs::absolute(a), error);
  return first == fs::weakly_canonical(fs::absolute(b), error);
}

}  // namespace

topk::Status CheckFigureFiles(std::span<const FigureFile> files) {
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].path.empty()) continue;
    for (size_t j = 0; j < i; ++j) {
      if (files[j].path.empty() || !IsSameFile(files[i].path, files[j].path)) continue;
      return topk::InvalidArgument(std::string(files[j].flag) + " and " + std::string(files[i].flag) +
                                   " name the same file, " + files[i].path + ": give each one of its own");
    }
    if (topk::Status status = CheckWritable(files[i].path); !status.ok()) return status;
  }
  return {};
}

topk::Status WriteFigureFiles(std::span<const FigureFile> files) {
  for (const FigureFile& file : files) {
    if (file.path.empty()) continue;
    if (topk::Status status = WriteFileAtomically(file.path, file.content()); !status.ok()) return status;
  }
  return {};
}

std::string SaveFinished(std::string_view what, std::span<const FigureFile> files, size_t n_lines) {
  std::string names;
  for (const FigureFile& file : files) {
    if (!file.path.empty()) names += (names.empty() ? "" : ", ") + file.path;
  }
  const std::string begin(what);
  if (n_lines == 0) return begin + ": no line was finished, no files were written";
  const std::string lines =
      n_lines == 1 ? "the line that is finished" : "the " + std::to_string(n_lines) + " lines that are finished";
  if (names.empty()) return begin + " after " + lines;
  const topk::Status status = WriteFigureFiles(files);
  return begin + ": " + (status.ok() ? "saved " + lines + ": " + names : status.message());
}

}  // namespace qwen_infer
