// The text that needles are hidden in.
#ifndef QWEN_INFER_EVAL_TASKS_HAYSTACK_H_
#define QWEN_INFER_EVAL_TASKS_HAYSTACK_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "eval/random.h"

namespace qwen_infer::tasks {

// RULER's, which repeats it line by line; from Mohtashami and Jaggi.
inline constexpr std::string_view kNoise =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

// A text as RULER takes its essays: blanks and ends of lines are one blank each; a sentence ends at a word that ends
// with ".", "!" or "?", quotes and brackets aside, or after 64 words.
std::vector<std::string> SentencesOf(std::string_view text);

// Puts the needles in that order before lines, no two of them before the same one; as many lines as needles or more.
std::string InsertIntoLines(std::vector<std::string> lines, const std::vector<std::string>& needles,
                            eval::Random& random);

// The first `count` of the sentences, which repeat if they are fewer, with the needles in that order between them, at
// depths from 0 to 100 % of which RULER has 40.
std::string InsertIntoSentences(const std::vector<std::string>& sentences, int64_t count,
                                const std::vector<std::string>& needles, eval::Random& random);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_HAYSTACK_H_
