// The ways to compute attention that are compared with full attention, as flags name them.
#ifndef QWEN_INFER_EVAL_SETTING_H_
#define QWEN_INFER_EVAL_SETTING_H_

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

// Reads the settings from their names; `defaults` if there are none. What a name leaves out has its default, but
// crossover, which is 0. Refuses what is no setting, what is there twice and what makes a file. command: the
// subcommand, for errors.
topk::Status ReadSettings(std::span<const std::string_view> defaults, std::string_view command,
                          std::vector<Setting>& settings);

// Refuses the flags for a single setting of other subcommands.
topk::Status RefuseTopKFlags(std::span<const std::string_view> arguments, std::string_view command);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_SETTING_H_
