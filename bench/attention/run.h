// Verifies and measures one case.
#ifndef QWEN_INFER_BENCH_ATTENTION_RUN_H_
#define QWEN_INFER_BENCH_ATTENTION_RUN_H_

#include <atomic>
#include <functional>
#include <string_view>

#include "attention/options.h"
#include "attention/result.h"
#include "attention/stock.h"

namespace qwen_infer::attention_bench {

// `say` hears what is being done. Throws std::exception if something fails or computes what it should not, Interrupted
// soon after `stop` is set.
Row RunCase(const CpuBackend& cpu, const Case& the_case, const Options& options, const std::atomic<bool>& stop,
            const std::function<void(std::string_view)>& say);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_RUN_H_
