#include "eval/page.h"
#include "eval/tasks/report.h"
#include "eval/tasks/tables.h"

namespace qwen_infer::tasks {

std::string Html(const Report& report) {
  std::string body = eval::CodeParagraph(report.run.command) + eval::ListOf(Facts(report)) +
                     WideTable(ScoreTable(report)) + eval::Figures({ScoreChart(report), DifferenceChart(report)}) +
                     "<h2>Against full attention</h2>\n" + WideTable(DifferenceTable(report));
  if (const eval::Table pairs = PairTable(report); !pairs.rows.empty()) {
    body += "<h2>Settings against each other</h2>\n" + WideTable(pairs);
  }
  body += "<h2>What the figures mean</h2>\n" + eval::ListOf(Legend(report)) + "<h2>All settings</h2>\n" +
          eval::ListOf(SettingsOf(report.run));
  return eval::Page("qwen-infer eval-tasks", "Tasks with top-k attention", body);
}

}  // namespace qwen_infer::tasks
