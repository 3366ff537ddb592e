#include "text.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "text_file.h"

namespace qwen_infer::eval {

namespace fs = std::filesystem;

namespace {

bool HasSuffix(const fs::path& path, std::span<const std::string> suffixes) {
  const std::string name = path.filename().string();
  return suffixes.empty() || std::any_of(suffixes.begin(), suffixes.end(),
                                         [&name](const std::string& suffix) { return name.ends_with(suffix); });
}

topk::Status FilesBelow(const fs::path& folder, std::span<const std::string> suffixes, std::vector<fs::path>& files) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with(".")) {
      entry.disable_recursion_pending();
    } else if (std::error_code ignored; entry->is_regular_file(ignored) && HasSuffix(entry->path(), suffixes)) {
      files.push_back(entry->path());
    }
  }
  if (error) return topk::InvalidArgument("cannot read the folder " + folder.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  return {};
}

topk::Status AddFolder(const std::string& folder, std::span<const std::string> suffixes, Text& out) {
  std::vector<fs::path> files;
  if (topk::Status status = FilesBelow(folder, suffixes, files); !status.ok()) return status;
  for (const fs::path& file : files) {
    std::string text;
    const bool is_text = ReadTextFile(file.string(), text).ok() && !text.empty();
    if (is_text) out.text += text;
    (is_text ? out.files : out.skipped) += 1;
  }
  return {};
}

}  // namespace

topk::Status ReadText(std::span<const std::string> paths, std::span<const std::string> suffixes, Text& out) {
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      if (topk::Status status = AddFolder(path, suffixes, out); !status.ok()) return status;
      continue;
    }
    std::string text;
    if (topk::Status status = ReadTextFile(path, text); !status.ok()) return status;
    out.text += text;
    ++out.files;
  }
  if (!out.text.empty()) return {};
  std::string message = "there is no text in";
  for (const std::string& path : paths) message.append(" ").append(path);
  return topk::InvalidArgument(message + ": name files or folders with text in UTF-8, or other endings with --suffix");
}

}  // namespace qwen_infer::eval
