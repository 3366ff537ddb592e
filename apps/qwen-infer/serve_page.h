// The web page at "/": one file without outside requests, put together at build time from page/
// (cmake/EmbedPage.cmake).
#ifndef QWEN_INFER_APPS_SERVE_PAGE_H_
#define QWEN_INFER_APPS_SERVE_PAGE_H_

#include <span>
#include <string>
#include <string_view>

namespace qwen_infer {

// As built, with "@NONCE@" where a nonce belongs.
extern const std::span<const unsigned char> kPageBytes;

// The page whose scripts and styles carry the nonce, and the Content-Security-Policy that allows those alone, and
// requests to this server. Nothing that finds its way into the page as markup could run, load or send anything.
std::string PageHtml(std::string_view nonce);
std::string PagePolicy(std::string_view nonce);

}  // namespace qwen_infer

#endif  // QWEN_INFER_APPS_SERVE_PAGE_H_
