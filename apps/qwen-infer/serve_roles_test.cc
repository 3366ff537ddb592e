#include "serve_roles.h"

#include <gtest/gtest.h>

#include "engine/chat_roles.h"

namespace qwen_infer {
namespace {

TEST(ServeRolesTest, UsualRolesNeedNoProbe) {
  EXPECT_TRUE(RoleProbes("").empty());
  EXPECT_TRUE(RoleProbes("[1]").empty());
  EXPECT_TRUE(RoleProbes(R"({"prompt": "x", "messages": null})").empty());
  EXPECT_TRUE(RoleProbes(R"({"messages": [{"role": "system"}, {"role": "developer"}, {"role": "tool"}]})").empty());
}

TEST(ServeRolesTest, EachOtherRoleIsTriedOnceWithTheMarkerAsContent) {
  const std::vector<RoleProbe> probes = RoleProbes(
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "critic", "content": "b"}, {"role": "bard"}, {"role": "critic"}], "n": 1})");
  ASSERT_EQ(probes.size(), 2U);
  const std::string marker(kRoleMarker);
  EXPECT_EQ(probes[0].role, "bard");
  EXPECT_EQ(probes[0].body,
            R"({"messages":[{"role":"user","content":"a"},{"role":"critic","content":"b"},{"role":"bard","content":")" +
                marker + R"("},{"role":"critic"}],"n":1})");
  EXPECT_EQ(probes[1].role, "critic");
  EXPECT_NE(probes[1].body.find(R"({"role":"critic","content":")" + marker + R"("}],"n":1)"), std::string::npos);
}

}  // namespace
}  // namespace qwen_infer
