#include "message_reader.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qwen_infer {
namespace {

// Lines that were typed before, then the end of the file.
class TypedLines final : public LineReader {
 public:
  TypedLines(std::initializer_list<std::string> lines) {
    for (const std::string& text : lines) lines_.push_back({.kind = Line::Kind::kText, .text = text});
  }

  void Add(Line line) { lines_.push_back(std::move(line)); }

  Line Read(std::string_view prompt) override {
    prompts.emplace_back(prompt);
    if (lines_.empty()) return {.kind = Line::Kind::kEnd};
    Line line = lines_.front();
    lines_.erase(lines_.begin());
    return line;
  }

  std::vector<std::string> prompts;

 private:
  std::vector<Line> lines_;
};

TEST(MessageReaderTest, ALineIsAMessageAndMayBeACommand) {
  TypedLines lines = {"/help", "hello"};
  MessageReader reader(lines);
  const Message first = reader.Read();
  EXPECT_EQ(first.kind, Line::Kind::kText);
  EXPECT_EQ(first.text, "/help");
  EXPECT_TRUE(first.may_be_command);
  EXPECT_EQ(reader.Read().text, "hello");
  EXPECT_EQ(reader.Read().kind, Line::Kind::kEnd);
  EXPECT_EQ(lines.prompts, (std::vector<std::string>{"> ", "> ", "> "}));
}

TEST(MessageReaderTest, ABackslashAtTheEndGoesOnInTheNextLine) {
  TypedLines lines = {"one\\", "two \\", "", "next"};
  MessageReader reader(lines);
  EXPECT_EQ(reader.Read().text, "one\ntwo \n");
  EXPECT_EQ(lines.prompts, (std::vector<std::string>{"> ", "... ", "... "}));
  EXPECT_EQ(reader.Read().text, "next");
}

TEST(MessageReaderTest, MarksHoldLinesTogether) {
  TypedLines lines = {"\"\"\"", "/not a command\\",     "",        "  end",
                      "\"\"\"", "\"\"\"one line\"\"\"", "\"\"\"a", "b\"\"\""};
  MessageReader reader(lines);
  const Message message = reader.Read();
  EXPECT_EQ(message.text, "/not a command\\\n\n  end");
  EXPECT_FALSE(message.may_be_command);
  EXPECT_EQ(reader.Read().text, "one line");
  EXPECT_EQ(reader.Read().text, "a\nb");
}

TEST(MessageReaderTest, WhatIsPastedIsNoCommandIfItHasLines) {
  TypedLines lines = {"/* a comment\n */"};
  const Message message = MessageReader(lines).Read();
  EXPECT_EQ(message.text, "/* a comment\n */");
  EXPECT_FALSE(message.may_be_command);
}

TEST(MessageReaderTest, TheEndOfTheFileEndsAMessageOfSeveralLines) {
  TypedLines block = {"\"\"\"", "text"};
  EXPECT_EQ(MessageReader(block).Read().text, "\ntext");
  TypedLines continued = {"text\\"};
  MessageReader reader(continued);
  EXPECT_EQ(reader.Read().text, "text");
  EXPECT_EQ(reader.Read().kind, Line::Kind::kEnd);
}

TEST(MessageReaderTest, AnInterruptThrowsAllLinesOfTheMessageAway) {
  TypedLines lines = {"\"\"\"", "text"};
  lines.Add({.kind = Line::Kind::kInterrupted});
  lines.Add({.kind = Line::Kind::kText, .text = "next"});
  MessageReader reader(lines);
  const Message message = reader.Read();
  EXPECT_EQ(message.kind, Line::Kind::kInterrupted);
  EXPECT_NE(message.text.find("text"), std::string::npos);
  EXPECT_EQ(reader.Read().text, "next");
}

}  // namespace
}  // namespace qwen_infer
