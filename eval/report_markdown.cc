#include "report.h"
#include "tables.h"

namespace qwen_infer::eval {

std::string Markdown(const Report& report) {
  std::string text = "`" + report.run.command + "`  \n";
  std::string separator;
  for (const std::string& fact : Facts(report)) {
    text += separator + fact;
    separator = "; ";
  }
  text += "\n\n" + MarkdownOf(QualityTable(report)) + "\nChange of perplexity by position, % (95 %):\n\n" +
          MarkdownOf(PositionTable(report));
  if (const Table differences = DifferenceTable(report); !differences.rows.empty()) {
    text += "\nSettings against each other:\n\n" + MarkdownOf(differences);
  }
  text += "\n";
  for (const std::string& line : Legend(report)) text += "- " + line + "\n";
  return text;
}

}  // namespace qwen_infer::eval
