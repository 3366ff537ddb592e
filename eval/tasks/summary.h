// The figures of a run, from the results of its examples.
#ifndef QWEN_INFER_EVAL_TASKS_SUMMARY_H_
#define QWEN_INFER_EVAL_TASKS_SUMMARY_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/bootstrap.h"
#include "eval/tasks/result.h"
#include "topk/attention.h"

namespace qwen_infer::tasks {

struct WaySummary {
  double score = 0;     // mean over the examples, 0 to 1
  int64_t correct = 0;  // examples with all that was asked for
  double seconds = 0;
  topk::Statistics attention = {};  // of the tokens that were computed; empty for full attention
};

// Of two ways on the same examples.
struct Comparison {
  size_t way = 0;
  size_t against = 0;              // an earlier one
  eval::Estimate difference = {};  // of the mean scores
  int64_t only_way = 0;            // examples that are correct with the one and not with the other
  int64_t only_against = 0;
  double p_value = 1;  // of McNemar's exact test
};

struct TaskSummary {
  std::string name;  // "all tasks" for all together
  int64_t examples = 0;
  double prompt_tokens = 0;                  // mean
  std::vector<WaySummary> ways = {};         // as in Result
  std::vector<Comparison> comparisons = {};  // each pair of ways, the later against the earlier
};

// The tasks in the order of their first example; if there are several, all together come last.
std::vector<TaskSummary> Summarize(std::span<const Result> results);

}  // namespace qwen_infer::tasks

#endif  // QWEN_INFER_EVAL_TASKS_SUMMARY_H_
