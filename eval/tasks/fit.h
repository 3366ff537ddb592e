// Makes examples as long as they may be.
#ifndef QWEN_INFER_EVAL_TASKS_FIT_H_
#define QWEN_INFER_EVAL_TASKS_FIT_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "eval/tasks/task.h"
#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer::tasks {

// The tokens of a prompt that asks for the answer of an example.
using Encoder = std::function<std::vector<Token>(const Example&)>;

// As the model was trained to be asked: with its chat template, in which an answer has begun with answer_start, and
// without thinking first. A model without one reads the text as it is. The model must outlive it.
Encoder EncoderOf(const Model& model);

struct Prompt {
  Example example;
  std::vector<Token> tokens;
};

// The longest prompt that has, with the longest answer, at most `length` tokens. The same seed gives the same one.
// kInvalidArgument if the shortest is longer, or the source code does not suffice for so long a one.
topk::Status Fit(const Task& task, const Material& material, int64_t length, uint64_t seed, const Encoder& encode,
                 Prompt& out);

// The status of Fit, without the work of looking for the longest prompt where that cannot fail.
topk::Status CheckFit(const Task& task, const Material& material, int64_t length, uint64_t seed, const Encoder& encode);

// Of the index-th example of a task in a run.
uint64_t SeedOf(uint64_t seed, std::string_view task, int64_t index);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_FIT_H_
