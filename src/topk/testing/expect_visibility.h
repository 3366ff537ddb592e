// Two looks at a mask row that must have found the same.
#ifndef TOPK_SRC_TESTING_EXPECT_VISIBILITY_H_
#define TOPK_SRC_TESTING_EXPECT_VISIBILITY_H_

#include <gtest/gtest.h>

#include <string>

#include "topk/visibility/visibility.h"

namespace topk::testing {

inline void ExpectSame(const Visibility& got, const Visibility& want, const std::string& what) {
  EXPECT_EQ(got.count, want.count) << what;
  if (want.count == 0) return;
  EXPECT_EQ(got.begin, want.begin) << what;
  EXPECT_EQ(got.end, want.end) << what;
  EXPECT_EQ(got.is_zero, want.is_zero) << what;
  EXPECT_EQ(got.is_range, want.is_range) << what;
  EXPECT_EQ(got.is_finite, want.is_finite) << what;
  EXPECT_EQ(got.sinks_end, want.sinks_end) << what;
  EXPECT_EQ(got.window_begin, want.window_begin) << what;
  EXPECT_EQ(got.n_competing, want.n_competing) << what;
}

}  // namespace topk::testing

#endif  // TOPK_SRC_TESTING_EXPECT_VISIBILITY_H_
