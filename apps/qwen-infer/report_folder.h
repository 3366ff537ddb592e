// The folder with the report of a run and with what it goes on from after an interruption.
#ifndef QWEN_INFER_APPS_REPORT_FOLDER_H_
#define QWEN_INFER_APPS_REPORT_FOLDER_H_

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "topk/status.h"

namespace qwen_infer {

// A file of a report.
struct ReportPart {
  std::string_view name;  // "report.md"
  std::string content;
};

class ReportFolder {
 public:
  explicit ReportFolder(std::filesystem::path path) : path_(std::move(path)) {}

  std::string File(std::string_view name) const { return (path_ / name).string(); }
  std::string State() const { return File("state"); }

  // Makes it, if it is not there, and makes sure that it can be written to. names: of the report's files, which must
  // not be there if the folder is not that of a run. command: the subcommand, for errors.
  topk::Status Make(std::span<const std::string_view> names, std::string_view command) const;

  // After a run that came to nothing: does not leave an empty folder behind.
  void RemoveIfEmpty() const;

  // Each whole or not at all.
  topk::Status Write(std::span<const ReportPart> parts) const;

 private:
  std::filesystem::path path_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_REPORT_FOLDER_H_
