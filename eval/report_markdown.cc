#include "report.h"
#include "tables.h"

namespace qwen_infer::eval {

std::string Markdown(const Report& report) {
  std::string text = MarkdownHead(report.run.command, Facts(report)) + "\n" + MarkdownOf(QualityTable(report)) +
                     "\nChange of perplexity by position, % (95 %):\n\n" + MarkdownOf(PositionTable(report));
  if (const Table differences = DifferenceTable(report); !differences.rows.empty()) {
    text += "\nSettings against each other:\n\n" + MarkdownOf(differences);
  }
  return text + "\n" + MarkdownList(Legend(report));
}

}  // namespace qwen_infer::eval
