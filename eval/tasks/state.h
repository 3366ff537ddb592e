// The examples that a run has finished, in a file: a run that was interrupted, or that is to have more tasks or
// examples, goes on from there.
//
// An example: {"task", "index", "prompt_tokens", "references", "ways": [{"answer", "score", "seconds", "attention":
// {...}}, ...]}.
#ifndef QWEN_INFER_EVAL_TASKS_STATE_H_
#define QWEN_INFER_EVAL_TASKS_STATE_H_

#include <string>
#include <vector>

#include "eval/state_file.h"
#include "eval/tasks/result.h"
#include "topk/status.h"

namespace qwen_infer::tasks {

// As eval::SaveState and eval::LoadState.
topk::Status SaveState(const std::string& path, const eval::RunIdentity& run, const std::vector<Result>& results);
topk::Status LoadState(const std::string& path, const eval::RunIdentity& run, std::vector<Result>& results);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_STATE_H_
