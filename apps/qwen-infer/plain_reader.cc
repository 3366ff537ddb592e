#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iostream>
#include <string>
#include <utility>

#include "interrupts.h"
#include "line_reader.h"

namespace qwen_infer {

namespace {

class PlainReader final : public LineReader {
 public:
  explicit PlainReader(const InterruptFlag& interrupts) : interrupts_(interrupts) {}

  Line Read(std::string_view prompt) override {
    std::cout << prompt << std::flush;
    size_t end = 0;
    while ((end = buffer_.find('\n')) == std::string::npos) {
      if (!WaitForInput(interrupts_)) return Interrupted();
      std::array<char, 4096> bytes = {};
      const ssize_t count = read(STDIN_FILENO, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return AtEnd();
      buffer_.append(bytes.data(), static_cast<size_t>(count));
    }
    Line line = {.kind = Line::Kind::kText, .text = buffer_.substr(0, end)};
    buffer_.erase(0, end + 1);
    return line;
  }

 private:
  Line Interrupted() {
    std::cout << "\n";
    if (interrupts_.ending_signal() != 0) return {.kind = Line::Kind::kEnd};
    return {.kind = Line::Kind::kInterrupted, .text = std::exchange(buffer_, {})};
  }

  // A last line may lack its newline.
  Line AtEnd() {
    std::cout << "\n";
    if (buffer_.empty()) return {.kind = Line::Kind::kEnd};
    return {.kind = Line::Kind::kText, .text = std::exchange(buffer_, {})};
  }

  const InterruptFlag& interrupts_;
  std::string buffer_;
};

}  // namespace

bool WaitForInput(const InterruptFlag& interrupts) {
  while (true) {
    std::array<pollfd, 2> files = {{{STDIN_FILENO, POLLIN, 0}, {interrupts.file(), POLLIN, 0}}};
    if (poll(files.data(), files.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return true;  // then reading tells what is wrong
    }
    if (files[1].revents != 0) return false;
    if (files[0].revents != 0) return true;
  }
}

std::unique_ptr<LineReader> MakePlainReader(const InterruptFlag& interrupts) {
  return std::make_unique<PlainReader>(interrupts);
}

#ifndef QWEN_INFER_HAS_LIBEDIT
std::unique_ptr<LineReader> MakeEditingReader(const InterruptFlag& /*interrupts*/) { return nullptr; }
#endif

}  // namespace qwen_infer
