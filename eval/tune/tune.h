// The steps of qwen-infer tune: measure the layers one at a time, give each its budget, compare the result with a fixed
// budget on text that the budgets have not seen.
#ifndef QWEN_INFER_EVAL_TUNE_TUNE_H_
#define QWEN_INFER_EVAL_TUNE_TUNE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "eval/run.h"
#include "eval/text.h"
#include "eval/tune/allocation.h"
#include "eval/tune/candidates.h"
#include "eval/tune/curve.h"
#include "eval/tune/options.h"
#include "eval/window_scores.h"
#include "ggml/profile.h"
#include "qwen_infer/engine.h"
#include "topk/status.h"

namespace qwen_infer::tune {

struct Corpora {
  eval::Corpus calibration;
  eval::Corpus held_out;
};

// Windows of one text, those for calibration spread evenly among the others. Errors as eval::MakeCorpus.
topk::Status MakeCorpora(const Model& model, const eval::Text& text, const Options& options, Corpora& out);

// Whom a profile of this model is for, without the profile's name. Throws std::runtime_error if a layer has no
// attention that top-k attention could take the place of.
ProfiledModel Profiled(const std::shared_ptr<Model>& model, const Options& options);

// `options.settings` are those that Compare compares. All three keep what they have measured in the folder
// options.output and go on from there; versions: of the software. Throw as eval::RunWindows.
std::vector<Curve> MeasureLayers(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                 const Options& options, const std::string& versions, const eval::Listener& listener);
std::vector<Tried> TryCandidates(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                 const std::vector<eval::Setting>& candidates, const Options& options,
                                 const std::string& versions, const eval::Listener& listener);
std::vector<eval::WindowScores> Compare(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                        const Options& options, const std::string& versions,
                                        const eval::Listener& listener);

// The budgets for the aim. kInvalidArgument, with the remedy, if the aim is out of reach.
topk::Status Allocate(std::span<const Curve> curves, const Options& options, Budgets& out);

// The fixed budget that the profile is to beat: the mean, at least 1.
int64_t FixedBudget(const Budgets& budgets);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_TUNE_H_
