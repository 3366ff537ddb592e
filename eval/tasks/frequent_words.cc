// RULER's frequent words extraction (scripts/data/synthetic/freq_words_extraction.py): words of random letters, the
// r-th of which stands in proportion to 1/r^2; the first is noise ("..."), and the three after it are asked for.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include "eval/tasks/task.h"

namespace qwen_infer::tasks {

namespace {

constexpr size_t kLetters = 6;
constexpr int64_t kTokensPerWord = 50;  // of the prompt, for each word of the vocabulary
constexpr size_t kAskedFor = 3;

std::string RandomWord(eval::Random& random) {
  constexpr size_t kAlphabet = 26;
  std::string word;
  for (size_t i = 0; i < kLetters; ++i) word += static_cast<char>('a' + random.Below(kAlphabet));
  return word;
}

// The noise first.
std::vector<std::string> RandomVocabulary(size_t size, eval::Random& random) {
  std::set<std::string> seen;
  std::vector<std::string> words = {"..."};
  while (words.size() < size) {
    std::string word = RandomWord(random);
    if (seen.insert(word).second) words.push_back(std::move(word));
  }
  return words;
}

// How often the word of that rank, from 1, stands in a text of `words` words, rounded down.
size_t Occurrences(double words, size_t rank) {
  constexpr double kZeta2 = std::numbers::pi * std::numbers::pi / 6;  // the sum of 1/r^2
  return static_cast<size_t>(words / (kZeta2 * static_cast<double>(rank * rank)));
}

}  // namespace

Example MakeFrequentWords(const Material& /*material*/, const Request& request, eval::Random& random) {
  const auto size = static_cast<size_t>(std::max<int64_t>(request.length / kTokensPerWord, kAskedFor + 1));
  const std::vector<std::string> vocabulary = RandomVocabulary(size, random);
  // From here on the last word that is asked for is more often than the one after it: 80/zeta(2) (1/4^2 - 1/5^2) > 1.
  constexpr double kLeastWords = 80;
  std::vector<std::string> text;
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    text.insert(text.end(), Occurrences(kLeastWords + static_cast<double>(request.size), i + 1), vocabulary[i]);
  }
  std::string coded;
  for (const std::string& word : random.Shuffled(std::move(text))) coded.append(coded.empty() ? "" : " ").append(word);
  return {.question =
              "Read the following coded text and track the frequency of each coded word. Find the three most "
              "frequently appeared coded words. " +
              coded +
              "\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What are the three "
              "most frequently appeared words in the above coded text?",
          .answer_start = " Answer: According to the coded text above, the three most frequently appeared words are:",
          .references = {vocabulary.begin() + 1, vocabulary.begin() + 1 + kAskedFor}};
}

}  // namespace qwen_infer::tasks
