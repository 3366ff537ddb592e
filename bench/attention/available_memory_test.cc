#include "attention/available_memory.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <string_view>

namespace qwen_infer::attention_bench {
namespace {

class AvailableMemoryTest : public ::testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }

  int64_t Of(std::string_view text) const {
    std::ofstream(path_) << text;
    return AvailableMemoryBytes(path_);
  }

  const std::string path_ = ::testing::TempDir() + "available_memory_test";
};

TEST_F(AvailableMemoryTest, ReadsTheLineOfLinux) {
  EXPECT_EQ(Of("MemTotal:       24683884 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\nBuffers: 3 kB\n"), 2 << 20);
  EXPECT_EQ(Of("MemAvailable: 0 kB\n"), 0);
}

TEST_F(AvailableMemoryTest, IsNoLimitWhereNothingIsKnown) {
  for (const std::string_view text : {"", "MemTotal: 5 kB\n", "MemAvailable: much\n", "MemAvailable: -1 kB\n"}) {
    EXPECT_EQ(Of(text), std::numeric_limits<int64_t>::max()) << text;
  }
  EXPECT_EQ(AvailableMemoryBytes("no-such-file"), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace qwen_infer::attention_bench
