#include "markup.h"
#include "report.h"
#include "tables.h"

namespace qwen_infer::eval {

namespace {

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>qwen-infer eval</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 96rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #8886; text-align: right; }
td, tbody th { white-space: nowrap; }
thead th { vertical-align: bottom; }
li { overflow-wrap: anywhere; }
tr :first-child { text-align: left; }
.wide { overflow-x: auto; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; }
.charts figure { flex: 1 1 26rem; margin: 0; }
svg { width: 100%; height: auto; border-radius: 4px; }
code { overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>Quality of top-k attention</h1>
)";

std::string List(const std::vector<std::string>& lines) {
  std::string text = "<ul>\n";
  for (const std::string& line : lines) text += "<li>" + Escaped(line) + "</li>\n";
  return text + "</ul>\n";
}

std::string Wide(const Table& table) { return "<div class=\"wide\">\n" + HtmlOf(table) + "</div>\n"; }

std::string SettingsList(const Report& report) {
  std::vector<std::string> lines;
  for (const WayName& way : report.ways) {
    if (!way.settings.empty()) lines.push_back(way.name + ": " + way.settings);
  }
  return List(lines);
}

}  // namespace

std::string Html(const Report& report) {
  std::string text = std::string(kHead) + "<p><code>" + Escaped(report.command) + "</code></p>\n" +
                     List(Facts(report)) + Wide(QualityTable(report)) + "<div class=\"charts\">\n<figure>\n" +
                     KeptShareChart(report) + "</figure>\n<figure>\n" + PositionChart(report) +
                     "</figure>\n</div>\n<h2>Change of perplexity by position, % (95 %)</h2>\n" +
                     Wide(PositionTable(report));
  if (const Table differences = DifferenceTable(report); !differences.rows.empty()) {
    text += "<h2>Settings against each other</h2>\n" + Wide(differences);
  }
  return text + "<h2>What the figures mean</h2>\n" + List(Legend(report)) + "<h2>All settings</h2>\n" +
         SettingsList(report) + "</body>\n</html>\n";
}

}  // namespace qwen_infer::eval
