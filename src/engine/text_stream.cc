#include "engine/text_stream.h"

#include <common.h>
#include <unicode.h>

#include <algorithm>

namespace qwen_infer {

std::string TextStream::Add(std::string_view bytes) {
  if (stopped_) return "";
  held_ += bytes;
  size_t certain = held_.size();
  for (const std::string& stop : stop_) {
    if (const size_t at = held_.find(stop); at != std::string::npos) {
      stopped_ = true;
      certain = std::min(certain, at);
    }
  }
  if (!stopped_) {
    for (const std::string& stop : stop_) certain = std::min(certain, string_find_partial_stop(held_, stop));
  }
  std::string text = TakeCharacters(certain, stopped_);
  if (stopped_) held_.clear();
  return text;
}

std::string TextStream::Finish() {
  std::string text = TakeCharacters(held_.size(), true);
  held_.clear();
  return text;
}

std::string TextStream::TakeCharacters(size_t end, bool is_last) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  const std::string_view bytes = std::string_view(held_).substr(0, end);
  std::string text;
  size_t at = 0;
  while (at < bytes.size()) {
    const utf8_parse_result character = common_parse_utf8_codepoint(bytes, at);
    if (character.status == utf8_parse_result::INCOMPLETE && !is_last) break;
    const bool valid = character.status == utf8_parse_result::SUCCESS;
    const size_t size = std::max<size_t>(character.bytes_consumed, 1);
    text += valid ? bytes.substr(at, size) : kReplacement;
    at += size;
  }
  held_.erase(0, std::min(at, bytes.size()));
  return text;
}

size_t ValidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const utf8_parse_result character = common_parse_utf8_codepoint(text, at);
    if (character.status != utf8_parse_result::SUCCESS) break;
    at += character.bytes_consumed;
  }
  return at;
}

}  // namespace qwen_infer
