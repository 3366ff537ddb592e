#include "eval/tasks/report.h"
#include "eval/tasks/tables.h"

namespace qwen_infer::tasks {

std::string Markdown(const Report& report) {
  std::string text = "`" + report.run.command + "`  \n";
  std::string separator;
  for (const std::string& fact : Facts(report)) {
    text += separator + fact;
    separator = "; ";
  }
  text +=
      "\n\n" + MarkdownOf(ScoreTable(report)) + "\nAgainst full attention:\n\n" + MarkdownOf(DifferenceTable(report));
  if (const eval::Table pairs = PairTable(report); !pairs.rows.empty()) {
    text += "\nSettings against each other:\n\n" + MarkdownOf(pairs);
  }
  text += "\n";
  for (const std::string& line : Legend(report)) text += "- " + line + "\n";
  return text;
}

}  // namespace qwen_infer::tasks
