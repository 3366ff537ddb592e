#include "attention/cache_size.h"

#include <gtest/gtest.h>

namespace qwen_infer::attention_bench {
namespace {

TEST(CacheSizeTest, ReadsTheUnitsOfSysfs) {
  EXPECT_EQ(ParseCacheSize("48K"), 48 * 1024);
  EXPECT_EQ(ParseCacheSize("32M"), 32 * 1024 * 1024);
  EXPECT_EQ(ParseCacheSize("512"), 512);
}

TEST(CacheSizeTest, RefusesWhatIsNoSize) {
  for (const char* text : {"", "K", "0K", "-1K", "32G", "32KB", "x"}) EXPECT_FALSE(ParseCacheSize(text)) << text;
}

TEST(CacheSizeTest, AssumesALargeCacheWhereNothingIsKnown) {
  EXPECT_EQ(LastLevelCacheBytes("no-such-folder"), 64 * 1024 * 1024);
  EXPECT_GT(LastLevelCacheBytes(), 0);
}

}  // namespace
}  // namespace qwen_infer::attention_bench
