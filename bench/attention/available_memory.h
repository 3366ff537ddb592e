// How much memory a measurement may take.
#ifndef QWEN_INFER_BENCH_ATTENTION_AVAILABLE_MEMORY_H_
#define QWEN_INFER_BENCH_ATTENTION_AVAILABLE_MEMORY_H_

#include <cstdint>
#include <string>

namespace qwen_infer::attention_bench {

// Bytes that programs can have without others being swapped out, as Linux estimates them in `file`; the largest number
// where that tells nothing.
int64_t AvailableMemoryBytes(const std::string& file = "/proc/meminfo");

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_AVAILABLE_MEMORY_H_
