#include "shared/fixed.h"

#include <cstdio>

namespace qwen_infer {

std::string Fixed(double x, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, x);
  return text;
}

std::string WithCommas(int64_t number) {
  constexpr size_t kGroup = 3;
  std::string text = std::to_string(number);
  const size_t first_digit = number < 0 ? 1 : 0;
  for (size_t at = text.size(); at > first_digit + kGroup;) text.insert(at -= kGroup, ",");
  return text;
}

}  // namespace qwen_infer
