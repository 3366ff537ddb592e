// The tables of a report, before they are Markdown or HTML.
#ifndef QWEN_INFER_EVAL_TASKS_TABLES_H_
#define QWEN_INFER_EVAL_TASKS_TABLES_H_

#include <string>
#include <vector>

#include "eval/table.h"
#include "eval/tasks/report.h"

namespace qwen_infer::tasks {

// A row for each task, a column for each way.
eval::Table ScoreTable(const Report& report);

// A row for each task and setting: against full attention, and what the setting keeps.
eval::Table DifferenceTable(const Report& report);

// A row for each task and pair of settings; empty if there is but one setting.
eval::Table PairTable(const Report& report);

// What was run, in a few words each: what stands above the tables.
std::vector<std::string> Facts(const Report& report);

// What the columns mean.
std::vector<std::string> Legend(const Report& report);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_TABLES_H_
