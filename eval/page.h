// Reports as one page of HTML, which asks for nothing from elsewhere.
#ifndef QWEN_INFER_EVAL_PAGE_H_
#define QWEN_INFER_EVAL_PAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "table.h"

namespace qwen_infer::eval {

// Both are text, the body is HTML.
std::string Page(std::string_view title, std::string_view heading, const std::string& body);

std::string CodeParagraph(std::string_view code);
std::string ListOf(const std::vector<std::string>& lines);
// A table that scrolls by itself where it is wider than the page.
std::string WideTable(const Table& table);
// Drawings in SVG side by side, where there is room.
std::string Figures(const std::vector<std::string>& drawings);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_PAGE_H_
