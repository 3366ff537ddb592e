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
std::string HtmlOf(const Table& table);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_TABLE_H_
