#include "eval/tasks/haystack.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace qwen_infer::tasks {

namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

// A list or a table would be one sentence, and too coarse a piece of a text whose length is to be exact.
constexpr size_t kMostWords = 64;

bool EndsSentence(std::string_view word) {
  const size_t last = word.find_last_not_of("\"')]}");
  return last != std::string_view::npos && std::string_view(".!?").find(word[last]) != std::string_view::npos;
}

// 0 to bound - 1.
std::vector<size_t> Numbers(size_t bound) {
  std::vector<size_t> numbers(bound);
  std::iota(numbers.begin(), numbers.end(), size_t{0});
  return numbers;
}

// `count` different ones below `bound`, ascending.
std::vector<size_t> Ascending(size_t bound, size_t count, eval::Random& random) {
  std::vector<size_t> numbers = random.Sample(Numbers(bound), count);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

void AddTo(std::string& text, std::string_view separator, std::string_view piece) {
  if (!text.empty()) text += separator;
  text += piece;
}

}  // namespace

std::vector<std::string> SentencesOf(std::string_view text) {
  std::vector<std::string> sentences;
  std::string sentence;
  size_t words = 0;
  for (size_t begin = text.find_first_not_of(kBlanks); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlanks, begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    AddTo(sentence, " ", word);
    if (++words >= kMostWords || EndsSentence(word)) {
      sentences.push_back(std::exchange(sentence, ""));
      words = 0;
    }
    begin = text.find_first_not_of(kBlanks, end);
  }
  if (!sentence.empty()) sentences.push_back(sentence);
  return sentences;
}

std::string InsertIntoLines(std::vector<std::string> lines, const std::vector<std::string>& needles,
                            eval::Random& random) {
  const std::vector<size_t> places = Ascending(lines.size(), needles.size(), random);
  std::string text;
  size_t needle = 0;
  for (size_t line = 0; line < lines.size(); ++line) {
    if (needle < places.size() && places[needle] == line) AddTo(text, "\n", needles[needle++]);
    AddTo(text, "\n", lines[line]);
  }
  return text;
}

std::string InsertIntoSentences(const std::vector<std::string>& sentences, int64_t count,
                                const std::vector<std::string>& needles, eval::Random& random) {
  constexpr size_t kDepths = 40;
  const std::vector<size_t> depths = Ascending(kDepths, needles.size(), random);
  std::string text;
  size_t needle = 0;
  for (size_t i = 0; i <= static_cast<size_t>(count); ++i) {
    while (needle < depths.size() && depths[needle] * static_cast<size_t>(count) / (kDepths - 1) <= i) {
      AddTo(text, " ", needles[needle++]);
    }
    if (i < static_cast<size_t>(count)) AddTo(text, " ", sentences[i % sentences.size()]);
  }
  return text;
}

}  // namespace qwen_infer::tasks
