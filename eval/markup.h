// Text inside of HTML and SVG.
#ifndef QWEN_INFER_EVAL_MARKUP_H_
#define QWEN_INFER_EVAL_MARKUP_H_

#include <string>
#include <string_view>

namespace qwen_infer::eval {

// With the characters that mean something replaced; for elements and for attributes in double quotes.
std::string Escaped(std::string_view text);

}  // namespace qwen_infer::eval

#endif  // QWEN_INFER_EVAL_MARKUP_H_
