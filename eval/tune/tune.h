// The steps of qwen-infer tune: measure the layers one at a time, give each its budget, try what else may serve the
// aim, compare the result with a fixed budget on text that none of it has seen.
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
#include "eval/tune/choice.h"
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
// options.output and go on from there; versions: of the software. Throw as eval::RunWindows, and Choose if the aim is
// out of reach.
std::vector<Curve> MeasureLayers(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                 const Options& options, const std::string& versions, const eval::Listener& listener);
// `budgets`: those of Allocate. Settings that may serve the aim better are tried beside them.
Choice Choose(const std::shared_ptr<Model>& model, const eval::Corpus& corpus, std::span<const Curve> curves,
              const Budgets& budgets, const Options& options, const std::string& versions,
              const eval::Listener& listener);
std::vector<eval::WindowScores> Compare(const std::shared_ptr<Model>& model, const eval::Corpus& corpus,
                                        const Options& options, const std::string& versions,
                                        const eval::Listener& listener);

// The budgets for the aim, by what the layers lose one at a time. kInvalidArgument, with the remedy, if the aim is out
// of reach.
topk::Status Allocate(std::span<const Curve> curves, const Options& options, Budgets& out);

}  // namespace qwen_infer::tune

#endif  // QWEN_INFER_EVAL_TUNE_TUNE_H_
