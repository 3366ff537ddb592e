// What the tests of flags ask a benchmark's ParseOptions.
#ifndef QWEN_INFER_BENCH_SHARED_PARSED_H_
#define QWEN_INFER_BENCH_SHARED_PARSED_H_

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "topk/status.h"

namespace qwen_infer {

// The options, which must be accepted.
template <typename Options>
Options ParsedAs(const std::vector<std::string_view>& arguments) {
  Options options;
  const topk::Status status = ParseOptions(arguments, options);
  EXPECT_TRUE(status.ok()) << status.message();
  return options;
}

// Why they are refused; empty if they are not.
template <typename Options>
std::string RefusalAs(const std::vector<std::string_view>& arguments) {
  Options options;
  return ParseOptions(arguments, options).message();
}

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_PARSED_H_
