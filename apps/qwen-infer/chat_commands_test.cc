#include "chat_commands.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace qwen_infer {
namespace {

Command Parsed(std::string_view line) {
  Command command;
  const topk::Status status = ParseCommand(line, command);
  EXPECT_TRUE(status.ok()) << status.message();
  return command;
}

std::string Refusal(std::string_view line) {
  Command command = {.name = CommandName::kStats, .argument = "before"};
  const topk::Status status = ParseCommand(line, command);
  EXPECT_EQ(command.name, CommandName::kStats);
  EXPECT_EQ(command.argument, "before");
  return status.message();
}

TEST(ChatCommandsTest, ASlashAtTheVeryBeginningMakesACommand) {
  EXPECT_TRUE(IsCommand("/help"));
  EXPECT_TRUE(IsCommand("/etc/passwd"));
  EXPECT_FALSE(IsCommand(" /etc/passwd is a file"));
  EXPECT_FALSE(IsCommand("what is 1/2?"));
  EXPECT_FALSE(IsCommand(""));
}

TEST(ChatCommandsTest, ReadsNameAndArgument) {
  EXPECT_EQ(Parsed("/help").name, CommandName::kHelp);
  EXPECT_EQ(Parsed("/stats  ").name, CommandName::kStats);
  EXPECT_EQ(Parsed("/clear").name, CommandName::kReset);
  for (const char* end : {"/exit", "/quit", "/bye"}) EXPECT_EQ(Parsed(end).name, CommandName::kExit) << end;
  const Command budget = Parsed("/k 128");
  EXPECT_EQ(budget.name, CommandName::kBudget);
  EXPECT_EQ(budget.argument, "128");
}

TEST(ChatCommandsTest, AnArgumentKeepsTheBlanksInside) {
  EXPECT_EQ(Parsed("/save \t my chat.session ").argument, "my chat.session");
}

TEST(ChatCommandsTest, SettingsMayBeLeftOutToSeeThem) {
  EXPECT_EQ(Parsed("/k").argument, "");
  EXPECT_EQ(Parsed("/attention").argument, "");
  EXPECT_EQ(Parsed("/attention sinks=4,window=64").argument, "sinks=4,window=64");
}

TEST(ChatCommandsTest, AnUnknownCommandSuggestsTheNearest) {
  EXPECT_NE(Refusal("/stat").find("there is no command /stat; did you mean /stats?"), std::string::npos);
  EXPECT_EQ(Refusal("/etc/passwd is what?").find("did you mean"), std::string::npos);
  EXPECT_NE(Refusal("/").find("/help lists them"), std::string::npos);
}

TEST(ChatCommandsTest, RefusesAMissingNameAndAnArgumentTooMany) {
  EXPECT_EQ(Refusal("/save"), "a name is missing: /save FILE");
  EXPECT_EQ(Refusal("/load  "), "a name is missing: /load FILE");
  EXPECT_EQ(Refusal("/reset all"), "/reset takes no 'all'");
}

TEST(ChatCommandsTest, HelpHasALineForEachCommand) {
  for (const char* name : {"/help", "/stats", "/k N", "/attention SETTINGS", "/set NAME VALUE", "/read FILE", "/regen",
                           "/save FILE", "/load FILE", "/reset", "/clear", "/exit", "/quit", "/bye"}) {
    EXPECT_NE(CommandHelp().find("  " + std::string(name) + " "), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace qwen_infer
