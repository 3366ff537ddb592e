// The flags of qwen-infer eval-tasks.
#ifndef QWEN_INFER_EVAL_TASKS_OPTIONS_H_
#define QWEN_INFER_EVAL_TASKS_OPTIONS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/options.h"
#include "eval/tasks/task.h"
#include "topk/status.h"

namespace qwen_infer::tasks {

// The paths are those of the text that needles are hidden in; the seed is that of the examples.
struct Options : eval::RunOptions {
  std::vector<const Task*> tasks = {};  // at least one, each once
  std::vector<std::string> sources;     // of Python code
  int64_t examples = 0;                 // of each task
  int64_t length = 0;                   // tokens of prompt and answer
};

// As eval::ParseOptions; --source adds up as well.
topk::Status ParseOptions(std::span<const std::string_view> arguments, const char* environment, Options& options);

std::string FlagHelp();

// As eval::CommandOf.
std::string CommandOf(const Options& options);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_OPTIONS_H_
