// RULER's common words extraction (scripts/data/synthetic/common_words_extraction.py): a numbered list in which ten
// words stand ten times as often as all others. Every line of the list counts: the answer is nowhere in particular.
#include <cstdint>
#include <string>
#include <vector>

#include "eval/tasks/task.h"
#include "eval/tasks/words.h"

namespace qwen_infer::tasks {

namespace {

constexpr size_t kCommon = 10;

// How often words are in a list.
struct Repeats {
  size_t common = 0;
  size_t others = 0;
};

std::string Numbered(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += ' ';
    text.append(std::to_string(i + 1)).append(". ").append(words[i]);
  }
  return text;
}

Example MakeList(size_t others, const Repeats& repeats, eval::Random& random) {
  const std::vector<std::string> words = DistinctWords(kCommon + others, random);
  std::vector<std::string> list;
  for (size_t i = 0; i < words.size(); ++i) {
    list.insert(list.end(), i < kCommon ? repeats.common : repeats.others, words[i]);
  }
  return {.question =
              "Below is a numbered list of words. In these words, some appear more often than others. Memorize "
              "the ones that appear most often.\n" +
              Numbered(random.Shuffled(std::move(list))) +
              "\nQuestion: What are the 10 most common words in the above list?",
          .answer_start = " Answer: The top 10 words that appear most often in the list are:",
          .references = {words.begin(), words.begin() + kCommon}};
}

}  // namespace

Example MakeCommonWords(const Material& /*material*/, const Request& request, eval::Random& random) {
  // RULER has fewer repeats in short prompts, and fewer still in the list that is answered before.
  constexpr int64_t kLong = 4096;
  const bool is_long = request.length >= kLong;
  const Example shot = is_long ? MakeList(30, {10, 3}, random) : MakeList(10, {3, 1}, random);
  Example example = MakeList(static_cast<size_t>(request.size), is_long ? Repeats{30, 3} : Repeats{6, 1}, random);
  example.shots.push_back({.question = shot.question, .answer = shot.answer_start + " " + Numbered(shot.references)});
  return example;
}

}  // namespace qwen_infer::tasks
