// The figures of a run of tasks as text: for people, for programs, for spreadsheets, and as one page with drawings.
#ifndef QWEN_INFER_EVAL_TASKS_REPORT_H_
#define QWEN_INFER_EVAL_TASKS_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "eval/run_facts.h"
#include "eval/tasks/result.h"
#include "eval/tasks/summary.h"

namespace qwen_infer::tasks {

// The figures, and what a reader must know to judge or repeat them.
struct Report {
  eval::RunFacts run;  // with the ways in the order of those of a result
  int64_t length = 0;  // tokens that prompt and answer may have
  int64_t examples = 0;
  uint64_t seed = 0;
  int64_t sentences = 0;  // of the text that needles are hidden in; 0: noise
  int64_t functions = 0;  // of the source code
  std::vector<Result> results;
  std::vector<TaskSummary> tasks;
};

std::string Markdown(const Report& report);

// {"program": "qwen-infer eval-tasks", what is in Report by the same names, "ways": [{"name", "settings"}, ...],
// "tasks": [{"name", "examples", "prompt_tokens", "ways": [{"score", "correct", "seconds", "attention": as in
// eval/report.h}, ...], "comparisons": [{"way", "against": names, "difference": {"mean", "low", "high"}, "only_way",
// "only_against", "p_value"}, ...]}, ...], "results": [{"task", "index", "prompt_tokens", "references", "ways":
// [{"score", "answer"}, ...]}, ...]}. Scores are from 0 to 1.
std::string Json(const Report& report);

// A line for each task and way; differences are those from full attention.
std::string Csv(const Report& report);

// SVG: the scores by task, and the differences from full attention.
std::string ScoreChart(const Report& report);
std::string DifferenceChart(const Report& report);

// One page with everything, which asks for nothing from elsewhere.
std::string Html(const Report& report);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_REPORT_H_
