#include "serve_page.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "page_nonce.h"

namespace qwen_infer {
namespace {

TEST(ServePageTest, ScriptsAndStylesCarryTheNonce) {
  const std::string page = PageHtml("abc");
  EXPECT_EQ(page.find("@NONCE@"), std::string::npos);
  EXPECT_NE(page.find("<script type=\"module\" nonce=\"abc\">"), std::string::npos);
  EXPECT_NE(page.find("<style nonce=\"abc\">"), std::string::npos);
  EXPECT_NE(PagePolicy("abc").find("script-src 'nonce-abc'"), std::string::npos);
}

TEST(ServePageTest, IsWhole) {
  const std::string page = PageHtml("abc");
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  for (const char* part : {"@STYLE@", "@SCRIPT@"}) EXPECT_EQ(page.find(part), std::string::npos);
  for (const char* part : {"class Plot", "function showAnswer", "async function send", "--accent"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
}

TEST(ServePageTest, AsksNoOtherMachine) {
  // Names of XML namespaces look like addresses and are none.
  const std::string page = std::regex_replace(PageHtml("abc"), std::regex("http://www\\.w3\\.org/2000/svg"), "");
  for (const char* part : {"http:", "https:", "//cdn", "@import", "url("}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
}

TEST(ServePageTest, NoncesDiffer) {
  EXPECT_EQ(MakeNonce().size(), 32U);
  EXPECT_NE(MakeNonce(), MakeNonce());
}

}  // namespace
}  // namespace qwen_infer
