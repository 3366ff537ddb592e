// What tells the script and style of a page from anything else that finds its way into it.
#ifndef QWEN_INFER_APPS_PAGE_NONCE_H_
#define QWEN_INFER_APPS_PAGE_NONCE_H_

#include <string>

namespace qwen_infer {

// 128 random bits in hexadecimal: for one page.
std::string MakeNonce();

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_PAGE_NONCE_H_
