// Numbers as they stand in tables and sentences.
#ifndef QWEN_INFER_BENCH_SHARED_FIXED_H_
#define QWEN_INFER_BENCH_SHARED_FIXED_H_

#include <cstdint>
#include <string>

namespace qwen_infer {

// "3.14": with that many digits after the point.
std::string Fixed(double x, int digits);

// "12,345,678".
std::string WithCommas(int64_t number);

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_FIXED_H_
