// What the ways of attention have made of an example.
#ifndef QWEN_INFER_EVAL_TASKS_RESULT_H_
#define QWEN_INFER_EVAL_TASKS_RESULT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "topk/attention.h"

namespace qwen_infer::tasks {

// Of one way.
struct Outcome {
  std::string answer;               // as far as the model wrote it
  double score = 0;                 // 0 to 1 (ScoreOf)
  double seconds = 0;               // to read the prompt and to answer
  topk::Statistics attention = {};  // empty for full attention

  bool IsCorrect() const { return score >= 1; }
};

struct Result {
  std::string task;
  int64_t index = 0;  // of the example
  int64_t prompt_tokens = 0;
  std::vector<std::string> references = {};
  std::vector<Outcome> ways = {};  // full attention first (eval::kFullAttention), then the settings
};

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_RESULT_H_
