// The size of the last-level cache: what a measurement with cold caches must exceed.
#ifndef QWEN_INFER_BENCH_ATTENTION_CACHE_SIZE_H_
#define QWEN_INFER_BENCH_ATTENTION_CACHE_SIZE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qwen_infer::attention_bench {

// "32768K" or "32M" as sysfs writes them, in bytes.
std::optional<int64_t> ParseCacheSize(std::string_view text);

// The largest of a processor's caches according to `folder`; where that tells nothing, more than usual machines have.
int64_t LastLevelCacheBytes(const std::string& folder = "/sys/devices/system/cpu/cpu0/cache");

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_CACHE_SIZE_H_
