#include "page.h"

#include "markup.h"

namespace qwen_infer::eval {

namespace {

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
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
)";

}  // namespace

std::string Page(std::string_view title, std::string_view heading, const std::string& body) {
  return kHead + ("<title>" + Escaped(title) + "</title>\n</head>\n<body>\n<h1>" + Escaped(heading) + "</h1>\n") +
         body + "</body>\n</html>\n";
}

std::string CodeParagraph(std::string_view code) { return "<p><code>" + Escaped(code) + "</code></p>\n"; }

std::string ListOf(const std::vector<std::string>& lines) {
  std::string text = "<ul>\n";
  for (const std::string& line : lines) text += "<li>" + Escaped(line) + "</li>\n";
  return text + "</ul>\n";
}

std::string WideTable(const Table& table) { return "<div class=\"wide\">\n" + HtmlOf(table) + "</div>\n"; }

std::string Figures(const std::vector<std::string>& drawings) {
  std::string text = "<div class=\"charts\">\n";
  for (const std::string& drawing : drawings) text += "<figure>\n" + drawing + "</figure>\n";
  return text + "</div>\n";
}

}  // namespace qwen_infer::eval
