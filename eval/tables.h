// The tables of a report, before they are Markdown or HTML.
#ifndef QWEN_INFER_EVAL_TABLES_H_
#define QWEN_INFER_EVAL_TABLES_H_

#include <string>
#include <vector>

#include "report.h"
#include "table.h"

namespace qwen_infer::eval {

// A row for each way: its quality over the positions that count, what it keeps, and its speed.
Table QualityTable(const Report& report);

// A row for each setting, a column for each range of positions: the change of perplexity.
Table PositionTable(const Report& report);

// A row for each pair of settings; empty if there is but one setting.
Table DifferenceTable(const Report& report);

// What was run, in a few words each: what stands above the tables.
std::vector<std::string> Facts(const Report& report);

// What the columns mean.
std::vector<std::string> Legend(const Report& report);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_TABLES_H_
