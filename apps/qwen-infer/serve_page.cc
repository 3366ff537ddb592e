#include "serve_page.h"

namespace qwen_infer {

std::string PageHtml(std::string_view nonce) {
  constexpr std::string_view kPlace = "@NONCE@";
  std::string page(kPageBytes.begin(), kPageBytes.end());
  for (size_t at = page.find(kPlace); at != std::string::npos; at = page.find(kPlace, at + nonce.size())) {
    page.replace(at, kPlace.size(), nonce);
  }
  return page;
}

std::string PagePolicy(std::string_view nonce) {
  std::string source = "'nonce-";
  source.append(nonce).append("'");
  return "default-src 'none'; script-src " + source + "; style-src " + source +
         "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace qwen_infer
