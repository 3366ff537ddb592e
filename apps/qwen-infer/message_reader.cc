#include "message_reader.h"

#include <string_view>
#include <utility>

namespace qwen_infer {

namespace {

constexpr std::string_view kPrompt = "> ";
constexpr std::string_view kMore = "... ";
constexpr std::string_view kMark = "\"\"\"";

bool GoesOn(std::string_view text) { return text.ends_with('\\'); }

}  // namespace

Message MessageReader::Read() {
  Line line = lines_.Read(kPrompt);
  if (line.kind != Line::Kind::kText) return {.kind = line.kind, .text = std::move(line.text)};
  if (line.text.starts_with(kMark)) return FinishBlock(line.text.substr(kMark.size()));
  if (GoesOn(line.text)) return FinishContinued(std::move(line.text));
  const bool one_line = line.text.find('\n') == std::string::npos;
  return {.kind = Line::Kind::kText, .text = std::move(line.text), .may_be_command = one_line};
}

Message MessageReader::FinishBlock(std::string text) {
  Message message = {.kind = Line::Kind::kText};
  while (!text.ends_with(kMark)) {
    if (!AddLine(text, message)) return message;
  }
  text.resize(text.size() - kMark.size());
  if (text.starts_with('\n')) text.erase(0, 1);
  if (text.ends_with('\n')) text.pop_back();
  message.text = std::move(text);
  return message;
}

Message MessageReader::FinishContinued(std::string text) {
  Message message = {.kind = Line::Kind::kText};
  while (GoesOn(text)) {
    text.pop_back();
    if (!AddLine(text, message)) return message;
  }
  message.text = std::move(text);
  return message;
}

bool MessageReader::AddLine(std::string& text, Message& message) {
  Line line = lines_.Read(kMore);
  switch (line.kind) {
    case Line::Kind::kText: text.append("\n").append(line.text); return true;
    // Ctrl-D ends the message; the next one ends the chat.
    case Line::Kind::kEnd: message.text = std::move(text); return false;
    case Line::Kind::kInterrupted: break;
  }
  message = {.kind = Line::Kind::kInterrupted, .text = std::move(text) + line.text};
  return false;
}

}  // namespace qwen_infer
