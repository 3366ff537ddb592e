// What a reader of a report must know beside the figures, from the program's surroundings.
#ifndef QWEN_INFER_APPS_EVAL_REPORT_H_
#define QWEN_INFER_APPS_EVAL_REPORT_H_

#include <span>
#include <string>

#include "eval/options.h"
#include "eval/report.h"
#include "eval/run.h"
#include "eval/run_facts.h"
#include "eval/text.h"
#include "eval/window_scores.h"
#include "qwen_infer/engine.h"

namespace qwen_infer {

// "name version" of all software that figures depend on, a line each.
std::string VersionsText();

// command: that measures the same.
eval::RunFacts RunFactsOf(const Model& model, const eval::RunOptions& options, const std::string& command);

eval::Report ReportOf(const Model& model, const eval::Options& options, const std::string& command,
                      const eval::Text& text, const eval::Corpus& corpus, std::span<const eval::WindowScores> windows);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_EVAL_REPORT_H_
