// Numbers in tables.
#ifndef QWEN_INFER_BENCH_SHARED_FIXED_H_
#define QWEN_INFER_BENCH_SHARED_FIXED_H_

#include <string>

namespace qwen_infer {

// "3.14": with that many digits after the point.
std::string Fixed(double x, int digits);

}  // namespace qwen_infer

#endif  // QWEN_INFER_BENCH_SHARED_FIXED_H_
