// Plain English words for tasks that hide, list or name some.
#ifndef QWEN_INFER_EVAL_TASKS_WORDS_H_
#define QWEN_INFER_EVAL_TASKS_WORDS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/random.h"

namespace qwen_infer::tasks {

// No word is in two of the lists, or twice in one.
std::span<const std::string_view> Adjectives();
std::span<const std::string_view> Nouns();
std::span<const std::string_view> Verbs();

// "brave-river", of more than 100,000.
std::string RandomPair(eval::Random& random);

// Different words, in random order; where the lists do not have so many, all of them are pairs. At most
// kMostDistinctWords.
std::vector<std::string> DistinctWords(size_t count, eval::Random& random);
inline constexpr size_t kMostDistinctWords = 100'000;

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_WORDS_H_
