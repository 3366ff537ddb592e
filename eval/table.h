// Tables of text, as Markdown and as HTML.
#ifndef QWEN_INFER_EVAL_TABLE_H_
#define QWEN_INFER_EVAL_TABLE_H_

#include <string>
#include <vector>

namespace qwen_infer::eval {

struct Table {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  // as long as the head; the first cell names the row
};

std::string MarkdownOf(const Table& table);
// What a report begins with: how it was made, and facts about it.
std::string MarkdownHead(const std::string& command, const std::vector<std::string>& facts);
std::string MarkdownList(const std::vector<std::string>& lines);
std::string HtmlOf(const Table& table);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_TABLE_H_
