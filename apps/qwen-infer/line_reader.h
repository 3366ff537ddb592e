// Lines from the terminal: with editing and history by libedit where the build found it, else as the terminal itself
// edits them.
#ifndef QWEN_INFER_APPS_LINE_READER_H_
#define QWEN_INFER_APPS_LINE_READER_H_

#include <memory>
#include <string>
#include <string_view>

namespace qwen_infer {

class InterruptFlag;

struct Line {
  enum class Kind {
    kText,
    kInterrupted,  // by Ctrl-C; `text` is what was there and is thrown away, as far as that is known
    kEnd           // Ctrl-D, the end of the file, or a signal that ends the program
  };

  Kind kind = Kind::kEnd;
  std::string text = {};  // without the final newline; what was pasted may have newlines inside
};

class LineReader {
 public:
  LineReader() = default;
  virtual ~LineReader() = default;

  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // Shows the prompt and waits for a line.
  virtual Line Read(std::string_view prompt) = 0;
};

// Of standard input. `interrupts` must outlive it.
std::unique_ptr<LineReader> MakePlainReader(const InterruptFlag& interrupts);

// Of the terminal at standard input; null if this program was built without libedit.
std::unique_ptr<LineReader> MakeEditingReader(const InterruptFlag& interrupts);

// Waits until standard input can be read; false if the flag was raised.
bool WaitForInput(const InterruptFlag& interrupts);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_LINE_READER_H_
