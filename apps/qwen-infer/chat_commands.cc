#include "chat_commands.h"

#include <algorithm>
#include <array>
#include <vector>

#include "nearest.h"

namespace qwen_infer {

namespace {

enum class Takes { kNothing, kMaybe, kOne };

struct Row {
  CommandName name;
  std::string_view text;
  std::string_view argument;  // in the help
  Takes takes;
  std::string_view sentence;
};

constexpr std::array<Row, 14> kCommands = {{
    {CommandName::kHelp, "/help", "", Takes::kNothing, "this list"},
    {CommandName::kStats, "/stats", "", Takes::kNothing, "tokens, their speed, and what top-k attention kept so far"},
    {CommandName::kBudget, "/k", "N", Takes::kMaybe, "keys kept per query and head from now on: a number, or auto"},
    {CommandName::kAttention, "/attention", "SETTINGS", Takes::kMaybe,
     "other settings of top-k attention from now on, such as sinks=4,sparse=on; alone: shows all"},
    {CommandName::kSet, "/set", "NAME VALUE", Takes::kMaybe,
     "a flag about answers from now on: /set temp 0.2, /set seed 7; alone: shows all"},
    {CommandName::kRead, "/read", "FILE", Takes::kOne, "put a text file in front of the next message"},
    {CommandName::kRegenerate, "/regen", "", Takes::kNothing, "answer the last message again"},
    {CommandName::kSave, "/save", "FILE", Takes::kOne,
     "save messages and what was read, so that nothing is read again"},
    {CommandName::kLoad, "/load", "FILE", Takes::kOne,
     "go on with a saved conversation, and its settings of top-k attention"},
    {CommandName::kReset, "/reset", "", Takes::kNothing, "start a new conversation"},
    {CommandName::kReset, "/clear", "", Takes::kNothing, "the same"},
    {CommandName::kExit, "/exit", "", Takes::kNothing, "end (or Ctrl-D); Ctrl-C ends an answer"},
    {CommandName::kExit, "/quit", "", Takes::kNothing, "the same"},
    {CommandName::kExit, "/bye", "", Takes::kNothing, "the same"},
}};

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kSentenceColumn = 24;

}  // namespace

bool IsCommand(std::string_view line) { return line.starts_with('/'); }

topk::Status ParseCommand(std::string_view line, Command& out) {
  const size_t end = std::min(line.find_first_of(kBlanks), line.size());
  const std::string_view name = line.substr(0, end);
  std::string_view argument = line.substr(end);
  argument.remove_prefix(std::min(argument.find_first_not_of(kBlanks), argument.size()));
  argument = argument.substr(0, argument.find_last_not_of(kBlanks) + 1);

  const auto* const row =
      std::find_if(kCommands.begin(), kCommands.end(), [name](const Row& one) { return one.text == name; });
  if (row == kCommands.end()) {
    std::vector<std::string_view> known;
    for (const Row& one : kCommands) known.push_back(one.text);
    const std::string_view nearest = NearestName(name, known);
    return topk::InvalidArgument("there is no command " + std::string(name) +
                                 (nearest.empty() ? ":" : "; did you mean " + std::string(nearest) + "?") +
                                 " /help lists them; a message may begin with a slash after a blank");
  }
  if (row->takes == Takes::kNothing && !argument.empty()) {
    return topk::InvalidArgument(std::string(name) + " takes no '" + std::string(argument) + "'");
  }
  if (row->takes == Takes::kOne && argument.empty()) {
    return topk::InvalidArgument("a name is missing: " + std::string(name) + " " + std::string(row->argument));
  }
  out = {.name = row->name, .argument = std::string(argument)};
  return {};
}

std::string CommandHelp() {
  std::string text;
  for (const Row& row : kCommands) {
    std::string line = "  " + std::string(row.text) + " " + std::string(row.argument);
    line.resize(kSentenceColumn, ' ');
    text += line + std::string(row.sentence) + "\n";
  }
  return text +
         "A line that ends with \\ goes on in the next one. Between \"\"\" and \"\"\" lines need nothing at their "
         "ends.\n";
}

}  // namespace qwen_infer
