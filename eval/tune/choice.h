// The settings that a profile gets, and what was tried before.
#ifndef QWEN_INFER_EVAL_TUNE_CHOICE_H_
#define QWEN_INFER_EVAL_TUNE_CHOICE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "eval/bootstrap.h"
#include "eval/tune/candidates.h"
#include "eval/tune/refinements.h"

namespace qwen_infer::tune {

struct TriedRefinement {
  Refinement refinement;
  Tried tried;
  eval::Estimate difference = {};  // of the divergence, from that of the first
};

struct Choice {
  std::string settings;
  int64_t fixed_k = 0;                        // the budget of all layers that the settings are compared with
  std::vector<Tried> tried = {};              // on the calibration windows; empty if there was no choice
  std::vector<TriedRefinement> refined = {};  // of the best of them, which comes first; empty if none was tried
};

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_CHOICE_H_
