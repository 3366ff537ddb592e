#include "table.h"

#include "markup.h"

namespace qwen_infer::eval {

std::string MarkdownOf(const Table& table) {
  std::string text;
  const auto add_row = [&text](const std::vector<std::string>& cells) {
    text += "|";
    for (const std::string& cell : cells) text.append(" ").append(cell).append(" |");
    text += "\n";
  };
  add_row(table.head);
  text += "|---|";
  for (size_t i = 1; i < table.head.size(); ++i) text += "---:|";
  text += "\n";
  for (const std::vector<std::string>& row : table.rows) add_row(row);
  return text;
}

std::string MarkdownHead(const std::string& command, const std::vector<std::string>& facts) {
  std::string text = "`" + command + "`  \n";
  std::string separator;
  for (const std::string& fact : facts) {
    text += separator + fact;
    separator = "; ";
  }
  return text + "\n";
}

std::string MarkdownList(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "- " + line + "\n";
  return text;
}

std::string HtmlOf(const Table& table) {
  std::string text = "<table>\n<thead><tr>";
  for (const std::string& cell : table.head) text += "<th scope=\"col\">" + Escaped(cell) + "</th>";
  text += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    text += "<tr><th scope=\"row\">" + Escaped(row.front()) + "</th>";
    for (size_t i = 1; i < row.size(); ++i) text += "<td>" + Escaped(row[i]) + "</td>";
    text += "</tr>\n";
  }
  return text + "</tbody>\n</table>\n";
}

}  // namespace qwen_infer::eval
