// Ways to compute attention that a user lists to have them compared.
#ifndef QWEN_INFER_EVAL_COMPARED_SETTINGS_H_
#define QWEN_INFER_EVAL_COMPARED_SETTINGS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "settings.h"
#include "topk/status.h"

namespace qwen_infer::eval {

struct Setting {
  std::string name;        // as it was written: "k=128,sinks=4"
  Settings settings = {};  // all of them
};

// What is compared starts from the defaults of all programs, but rows are not left to full attention because that is
// faster on this machine: figures are to be the same everywhere.
inline constexpr std::string_view kBaseOfSettings = "crossover=0";

// Reads the names over kBaseOfSettings; without any, those of `defaults`. kInvalidArgument, naming the flag --setting
// and the name, for one that is no setting, is there twice, or asks for recordings, which `subcommand` makes none of.
topk::Status ReadSettings(std::span<const std::string_view> defaults, std::string_view subcommand,
                          std::vector<Setting>& settings);

// CheckFitsModel of all of them.
topk::Status CheckFitModel(std::span<const Setting> settings, const std::string& model_path);

// Refuses the flags that other subcommands have for one setting.
topk::Status RefuseTopKFlags(std::span<const std::string_view> arguments, std::string_view subcommand);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_COMPARED_SETTINGS_H_
