#include "version.h"

#include <gtest/gtest.h>

namespace qwen_infer {
namespace {

TEST(VersionMismatch, IsEmptyForTheGgmlThatThisWasBuiltAgainst) {
  EXPECT_EQ(VersionMismatch(BuiltGgmlVersion(), LoadedGgmlVersion()), "");
  EXPECT_FALSE(BuiltGgmlVersion().version.empty());
  EXPECT_FALSE(BuiltGgmlVersion().commit.empty());
}

TEST(VersionMismatch, NamesBothVersionsAndTheFix) {
  for (const GgmlVersion& loaded : {GgmlVersion{"0.9.4", "abc1234"}, GgmlVersion{"0.25.3", "fed9876"}}) {
    const std::string message = VersionMismatch({"0.25.3", "abc1234"}, loaded);
    for (const std::string_view part : {std::string_view("0.25.3 (commit abc1234)"), loaded.version, loaded.commit,
                                        std::string_view("QWEN_INFER_LLAMA_CPP")}) {
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
}

}  // namespace
}  // namespace qwen_infer
