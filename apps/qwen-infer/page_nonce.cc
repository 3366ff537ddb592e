#include "page_nonce.h"

#include <cstdio>
#include <random>

namespace qwen_infer {

std::string MakeNonce() {
  std::random_device random;
  std::string nonce;
  for (int i = 0; i < 4; ++i) {
    char digits[9];
    std::snprintf(digits, sizeof(digits), "%08x", static_cast<unsigned>(random()));
    nonce += digits;
  }
  return nonce;
}

}  // namespace qwen_infer
