#include "compared_settings.h"

#include <set>

#include "engine/model_check.h"
#include "flags.h"

namespace qwen_infer::eval {

namespace {

// Without blanks and commas at the ends.
std::string Trimmed(std::string_view text) {
  constexpr std::string_view kTrimmed = " \t\r\n,";
  const size_t begin = text.find_first_not_of(kTrimmed);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kTrimmed) - begin + 1));
}

}  // namespace

topk::Status ReadSettings(std::span<const std::string_view> defaults, std::string_view subcommand,
                          std::vector<Setting>& settings) {
  if (settings.empty()) {
    for (const std::string_view name : defaults) settings.push_back({.name = std::string(name), .settings = {}});
  }
  std::set<std::string> names;
  for (Setting& setting : settings) {
    setting.name = Trimmed(setting.name);
    const auto refuse = [&](const std::string& reason) {
      return topk::InvalidArgument("--setting " + setting.name + reason);
    };
    topk::Status status = ParseSettings(kBaseOfSettings, setting.settings);
    if (status.ok()) status = ParseSettings(setting.name, setting.settings);
    if (!status.ok()) return refuse(": " + status.message());
    if (!setting.settings.recordings.empty()) {
      return refuse(": " + std::string(subcommand) + " records nothing; leave record@N=FILE out");
    }
    if (!names.insert(setting.name).second) return refuse(" is there twice: leave one out");
  }
  return {};
}

topk::Status CheckFitModel(std::span<const Setting> settings, const std::string& model_path) {
  for (const Setting& setting : settings) {
    if (topk::Status status = CheckFitsModel(setting.settings, model_path); !status.ok()) return status;
  }
  return {};
}

topk::Status RefuseTopKFlags(std::span<const std::string_view> arguments, std::string_view subcommand) {
  for (const std::string_view argument : arguments) {
    if (!IsTopKFlag(argument)) continue;
    return topk::InvalidArgument(std::string(argument) + ": " + std::string(subcommand) +
                                 " compares settings; write them as --setting k=128,sinks=4");
  }
  return {};
}

}  // namespace qwen_infer::eval
