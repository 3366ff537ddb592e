#include "reading_progress.h"

#include <unistd.h>

#include <iostream>

#include "shared/fixed.h"

namespace qwen_infer {

namespace {

// What is over sooner needs no explanation.
constexpr std::chrono::seconds kPatience{1};

}  // namespace

ReadingProgress::ReadingProgress() : is_terminal_(isatty(STDERR_FILENO) != 0) {}

void ReadingProgress::Start() {
  start_ = std::chrono::steady_clock::now();
  shown_ = 0;
}

void ReadingProgress::Show(int64_t read, int64_t total) {
  if (!is_terminal_ || read == shown_ || std::chrono::steady_clock::now() - start_ < kPatience) return;
  std::cerr << "\rreading: " << WithCommas(read) << " of " << WithCommas(total) << " tokens" << std::flush;
  shown_ = read;
  is_shown_ = true;
}

void ReadingProgress::Clear() {
  if (!is_shown_) return;
  std::cerr << "\r\033[K" << std::flush;
  is_shown_ = false;
}

}  // namespace qwen_infer
