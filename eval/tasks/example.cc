#include "eval/tasks/example.h"

#include <algorithm>

namespace qwen_infer::tasks {

namespace {

// Of ASCII letters: what references are made of.
std::string InSmallLetters(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

}  // namespace

double ScoreOf(const std::vector<std::string>& references, const std::string& answer) {
  const std::string text = InSmallLetters(answer);
  const auto found = std::count_if(references.begin(), references.end(), [&text](const std::string& reference) {
    return text.find(InSmallLetters(reference)) != std::string::npos;
  });
  return static_cast<double>(found) / static_cast<double>(references.size());
}

}  // namespace qwen_infer::tasks
