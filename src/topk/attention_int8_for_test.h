// Problems for the tests of attention with scans in integers.
#ifndef TOPK_SRC_ATTENTION_INT8_FOR_TEST_H_
#define TOPK_SRC_ATTENTION_INT8_FOR_TEST_H_

#include <cstdint>

#include "topk/testing/random_input.h"

namespace topk::testing {

// Rows that suit a scan in integers: none measures its mass. Many queries share one scan; few of more than 2,048 keys
// split the keys.
inline constexpr int64_t kQueriesForInt8[] = {34, 3};

inline Shape Int8Shape(int64_t n_query, int64_t n_key, int64_t d) {
  return {.n_query = n_query, .n_key = n_key, .n_head = 3, .n_head_kv = 1, .d_k = d, .d_v = 4};
}

}  // namespace topk::testing

#endif  // TOPK_SRC_ATTENTION_INT8_FOR_TEST_H_
