#include "setting.h"

#include <set>

#include "flags.h"

namespace qwen_infer::eval {

namespace {

// What a setting starts from: the defaults of all programs, but rows are not left to full attention because that is
// faster on this machine. Quality is to be the same everywhere.
constexpr std::string_view kBase = "crossover=0";

// Without blanks and commas at the ends.
std::string Trimmed(std::string_view text) {
  constexpr std::string_view kTrimmed = " \t\r\n,";
  const size_t begin = text.find_first_not_of(kTrimmed);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kTrimmed) - begin + 1));
}

topk::Status ReadSetting(std::string_view command, Setting& setting) {
  setting.name = Trimmed(setting.name);
  topk::Status status = ParseSettings(kBase, setting.settings);
  if (status.ok()) status = ParseSettings(setting.name, setting.settings);
  if (!status.ok()) return topk::InvalidArgument("--setting " + setting.name + ": " + status.message());
  if (setting.settings.recordings.empty()) return {};
  return topk::InvalidArgument("--setting " + setting.name + ": " + std::string(command) +
                               " records nothing; leave record@N=FILE out");
}

}  // namespace

topk::Status ReadSettings(std::span<const std::string_view> defaults, std::string_view command,
                          std::vector<Setting>& settings) {
  if (settings.empty()) {
    for (const std::string_view name : defaults) settings.push_back({.name = std::string(name)});
  }
  std::set<std::string> names;
  for (Setting& setting : settings) {
    if (topk::Status status = ReadSetting(command, setting); !status.ok()) return status;
    if (!names.insert(setting.name).second) {
      return topk::InvalidArgument("--setting " + setting.name + " is there twice: leave one out");
    }
  }
  return {};
}

topk::Status RefuseTopKFlags(std::span<const std::string_view> arguments, std::string_view command) {
  for (const std::string_view argument : arguments) {
    if (!IsTopKFlag(argument)) continue;
    return topk::InvalidArgument(std::string(argument) + ": " + std::string(command) +
                                 " compares any number of settings; write them as --setting k=128,sinks=4");
  }
  return {};
}

}  // namespace qwen_infer::eval
