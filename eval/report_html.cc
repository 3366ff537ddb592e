#include "page.h"
#include "report.h"
#include "tables.h"

namespace qwen_infer::eval {

std::string Html(const Report& report) {
  std::string body = CodeParagraph(report.run.command) + ListOf(Facts(report)) + WideTable(QualityTable(report)) +
                     Figures({KeptShareChart(report), PositionChart(report)}) +
                     "<h2>Change of perplexity by position, % (95 %)</h2>\n" + WideTable(PositionTable(report));
  if (const Table differences = DifferenceTable(report); !differences.rows.empty()) {
    body += "<h2>Settings against each other</h2>\n" + WideTable(differences);
  }
  body += "<h2>What the figures mean</h2>\n" + ListOf(Legend(report)) + "<h2>All settings</h2>\n" +
          ListOf(SettingsOf(report.run));
  return Page("qwen-infer eval", "Quality of top-k attention", body);
}

}  // namespace qwen_infer::eval
