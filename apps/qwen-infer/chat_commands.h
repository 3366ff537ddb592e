// What is said to the chat and not to the model: "/k 128".
#ifndef QWEN_INFER_APPS_CHAT_COMMANDS_H_
#define QWEN_INFER_APPS_CHAT_COMMANDS_H_

#include <string>
#include <string_view>

#include "topk/status.h"

namespace qwen_infer {

enum class CommandName { kHelp, kStats, kBudget, kAttention, kSet, kRead, kRegenerate, kSave, kLoad, kReset, kExit };

struct Command {
  CommandName name = CommandName::kHelp;
  std::string argument;  // without blanks around it; empty if there is none
};

// Whether a line is meant for the chat: it begins with a slash.
bool IsCommand(std::string_view line);

// kInvalidArgument for an unknown command, suggesting the nearest, and for an argument that is missing or one too many;
// `out` is then unchanged.
topk::Status ParseCommand(std::string_view line, Command& out);

// A line for each command, and how messages of several lines are entered. Ends with a newline.
std::string CommandHelp();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_CHAT_COMMANDS_H_
