#include "windows.h"

#include <algorithm>
#include <string>

namespace qwen_infer::eval {

namespace {

// Of a token in most languages. A first guess: twice as many are tried if they do not suffice.
constexpr size_t kBytesPerToken = 5;

// Where a line begins at or after `at`; the end of the text if none does.
size_t LineStart(std::string_view text, size_t at) {
  if (at == 0) return 0;
  const size_t newline = text.find('\n', at - 1);
  return newline == std::string_view::npos ? text.size() : newline + 1;
}

// The first characters of the text, `bytes` of them or a few less.
std::string_view Start(std::string_view text, size_t bytes) {
  if (bytes >= text.size()) return text;
  constexpr unsigned char kMask = 0xC0;
  constexpr unsigned char kContinues = 0x80;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & kMask) == kContinues) --bytes;
  return text.substr(0, bytes);
}

// The first `size` tokens; all of them if they are fewer. The end of a piece is cut anywhere, and its last tokens may
// not be those of the text: more than are needed are made.
std::vector<Token> FirstTokens(std::string_view text, size_t size, const Tokenizer& tokenize) {
  for (size_t bytes = (size + size / 2 + 1) * kBytesPerToken;; bytes *= 2) {
    const std::string_view piece = Start(text, bytes);
    std::vector<Token> tokens = tokenize(piece);
    if (tokens.size() > size || piece.size() == text.size()) {
      tokens.resize(std::min(tokens.size(), size));
      return tokens;
    }
  }
}

}  // namespace

topk::Status CutWindows(std::string_view text, int64_t count, int64_t size, const Tokenizer& tokenize,
                        std::vector<std::vector<Token>>& out) {
  out.clear();
  const auto parts = static_cast<size_t>(count);
  for (size_t part = 0; part < parts; ++part) {
    const size_t begin = LineStart(text, text.size() / parts * part);
    const size_t end = part + 1 == parts ? text.size() : LineStart(text, text.size() / parts * (part + 1));
    out.push_back(FirstTokens(text.substr(begin, end - begin), static_cast<size_t>(size), tokenize));
    const auto tokens = static_cast<int64_t>(out.back().size());
    if (tokens == size) continue;
    return topk::InvalidArgument("the text is too short for " + std::to_string(count) + " windows of " +
                                 std::to_string(size) + " tokens: one of its " + std::to_string(count) + " parts has " +
                                 std::to_string(tokens) +
                                 ". Give more text, or fewer (--windows) or smaller (--window) windows");
  }
  return {};
}

}  // namespace qwen_infer::eval
