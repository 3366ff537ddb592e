#include "eval/tasks/report.h"
#include "eval/tasks/tables.h"

namespace qwen_infer::tasks {

std::string Markdown(const Report& report) {
  std::string text = eval::MarkdownHead(report.run.command, Facts(report)) + "\n" + MarkdownOf(ScoreTable(report)) +
                     "\nAgainst full attention:\n\n" + MarkdownOf(DifferenceTable(report));
  if (const eval::Table pairs = PairTable(report); !pairs.rows.empty()) {
    text += "\nSettings against each other:\n\n" + MarkdownOf(pairs);
  }
  return text + "\n" + eval::MarkdownList(Legend(report));
}

}  // namespace qwen_infer::tasks
