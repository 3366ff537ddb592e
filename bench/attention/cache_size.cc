#include "attention/cache_size.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace qwen_infer::attention_bench {

namespace {

constexpr int64_t kUnknownCacheBytes = int64_t{64} << 20;
constexpr int kMaxCaches = 16;  // of one processor: index0, index1, ...

}  // namespace

std::optional<int64_t> ParseCacheSize(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number <= 0) return std::nullopt;
  const std::string_view unit(end, text.data() + text.size());
  if (unit.empty()) return number;
  if (unit == "K") return number << 10;
  if (unit == "M") return number << 20;
  return std::nullopt;
}

int64_t LastLevelCacheBytes(const std::string& folder) {
  int64_t largest = 0;
  for (int i = 0; i < kMaxCaches; ++i) {
    std::ifstream file(folder + "/index" + std::to_string(i) + "/size");
    std::string size;
    if (file >> size) largest = std::max(largest, ParseCacheSize(size).value_or(0));
  }
  return largest > 0 ? largest : kUnknownCacheBytes;
}

}  // namespace qwen_infer::attention_bench
