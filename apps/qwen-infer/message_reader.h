// Messages, which may have several lines: a line that ends with a backslash goes on in the next one, lines between """
// and """ belong together, and what is pasted comes as one line with newlines inside.
#ifndef QWEN_INFER_APPS_MESSAGE_READER_H_
#define QWEN_INFER_APPS_MESSAGE_READER_H_

#include <string>

#include "line_reader.h"

namespace qwen_infer {

struct Message {
  Line::Kind kind = Line::Kind::kEnd;
  std::string text = {};        // if interrupted: what is thrown away
  bool may_be_command = false;  // it is one line, without marks
};

class MessageReader {
 public:
  // `lines` must outlive it.
  explicit MessageReader(LineReader& lines) : lines_(lines) {}

  Message Read();

 private:
  // Adds lines until one ends the block that `text` is in.
  Message FinishBlock(std::string text);
  // Adds lines for as long as the last one ends with a backslash.
  Message FinishContinued(std::string text);
  // The next line below `text`. False if there is none; `message` then says what came instead.
  bool AddLine(std::string& text, Message& message);

  LineReader& lines_;
};

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_MESSAGE_READER_H_
