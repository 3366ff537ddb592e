#include "report_folder.h"

#include <system_error>

#include "atomic_file.h"

namespace qwen_infer {

topk::Status ReportFolder::Make(std::span<const std::string_view> names, std::string_view command) const {
  std::error_code error;
  const bool is_of_a_run = std::filesystem::exists(State(), error);
  for (const std::string_view name : names) {
    if (is_of_a_run || !std::filesystem::exists(File(name), error)) continue;
    return topk::InvalidArgument(File(name) + " is there already, and not from a run of " + std::string(command) +
                                 ": name another folder with --output, or delete it");
  }
  std::filesystem::create_directories(path_, error);
  if (error) return topk::InvalidArgument("cannot make the folder " + path_.string() + ": " + error.message());
  return CheckWritable(State());
}

void ReportFolder::RemoveIfEmpty() const {
  std::error_code error;  // it has files, or never was
  std::filesystem::remove(path_, error);
}

topk::Status ReportFolder::Write(std::span<const ReportPart> parts) const {
  for (const ReportPart& part : parts) {
    if (topk::Status status = WriteFileAtomically(File(part.name), part.content); !status.ok()) return status;
  }
  return {};
}

}  // namespace qwen_infer
