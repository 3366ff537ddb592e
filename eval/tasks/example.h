// A question whose answer is known, as text.
#ifndef QWEN_INFER_EVAL_TASKS_EXAMPLE_H_
#define QWEN_INFER_EVAL_TASKS_EXAMPLE_H_

#include <string>
#include <vector>

namespace qwen_infer::tasks {

struct Turn {
  std::string question;
  std::string answer;
};

struct Example {
  std::vector<Turn> shots = {};              // questions of the kind that have been answered
  std::string question;                      // with the text that the answer is in
  std::string answer_start;                  // the model goes on from here; begins with a blank
  std::vector<std::string> references = {};  // what is to be in the answer
};

// The share of the references that the answer has, small letters and capitals being the same: RULER's string_match_all
// (scripts/eval/synthetic/constants.py).
double ScoreOf(const std::vector<std::string>& references, const std::string& answer);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_EXAMPLE_H_
