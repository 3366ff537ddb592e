// A run: all examples of all tasks, one after the other, each kept on the disk as soon as it is finished.
#ifndef QWEN_INFER_EVAL_TASKS_RUN_H_
#define QWEN_INFER_EVAL_TASKS_RUN_H_

#include <memory>
#include <string>
#include <vector>

#include "eval/run.h"
#include "eval/state_file.h"
#include "eval/tasks/options.h"
#include "eval/tasks/result.h"
#include "eval/tasks/task.h"
#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer::tasks {

// Reads what the options name. kInvalidArgument if a file cannot be read, or there is nothing in it.
topk::Status ReadMaterial(const Options& options, Material& out);

// Counts the tokens of its functions.
void CountTokens(const Model& model, Material& material);

// Without tasks and number of examples: a run can be given more of both. versions: of the software, which the results
// depend on.
eval::RunIdentity IdentityOf(const Model& model, const Material& material, const Options& options,
                             const std::string& versions);

// kInvalidArgument if the length is more than the model was trained with, or too short for an example of the run, or
// too long for the source code.
topk::Status CheckLength(const Model& model, const Material& material, const Options& options);

// The examples that the options ask for, in their order, of those in `done`; fewer if they are not there yet.
std::vector<Result> Wanted(const Options& options, const std::vector<Result>& done);

// Adds the examples that are missing to `done`. Throws Cancelled if interrupted, with those in `done` and in the file
// that are finished; std::runtime_error if something fails.
void RunExamples(const std::shared_ptr<Model>& model, const Material& material, const Options& options,
                 const eval::RunIdentity& identity, const std::string& state_path, const eval::Listener& listener,
                 std::vector<Result>& done);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_RUN_H_
