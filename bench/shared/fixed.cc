#include "shared/fixed.h"

#include <cstdio>

namespace qwen_infer {

std::string Fixed(double x, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, x);
  return text;
}

}  // namespace qwen_infer
