// The windows that a run has finished, in a file: a run that was interrupted goes on from there.
//
// A window: [one way: {"nll", "kl": f32 as bytes, "agrees": bytes, "seconds", "attention": {...}}, ...].
#ifndef QWEN_INFER_EVAL_STATE_H_
#define QWEN_INFER_EVAL_STATE_H_

#include <string>
#include <vector>

#include "state_file.h"
#include "topk/status.h"
#include "window_scores.h"

namespace qwen_infer::eval {

// Whole or not at all, and on the disk.
topk::Status SaveState(const std::string& path, const RunIdentity& run, const std::vector<WindowScores>& windows);

// No windows if there is no such file. kInvalidArgument, naming what is different, for the state of another run, and
// for a file that is none.
topk::Status LoadState(const std::string& path, const RunIdentity& run, std::vector<WindowScores>& windows);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_STATE_H_
