// The comparison: for each depth one prefill, then rounds of all ways in turns on copies of it.
#ifndef QWEN_INFER_BENCH_END_TO_END_RUN_H_
#define QWEN_INFER_BENCH_END_TO_END_RUN_H_

#include <atomic>
#include <functional>
#include <string_view>

#include "end_to_end/options.h"
#include "end_to_end/result.h"
#include "settings.h"

namespace qwen_infer::end_to_end_bench {

struct Listener {
  std::function<void(std::string_view)> say;  // what is being done
  std::function<void(const Row&)> row;        // a line of the table is there
};

// llama_backend_init has been called and the device TOPK is not registered; afterwards it is, for good: one comparison
// a process. Throws std::exception if something fails or top-k attention was not used; and Interrupted soon after
// `stop` is set, once `listener` has the lines of all tests that have finished a round.
//
// The prefill runs with top-k attention, which is faster, and goes on from the one of the depth before: what all ways
// then read is the same cache. Every measured pass starts with it restored. That it was is checked: the next token's
// logits with and without flash attention must agree.
void RunComparison(const Options& options, const Settings& settings, const std::atomic<bool>& stop,
                   const Listener& listener);

}  // namespace qwen_infer::end_to_end_bench

#endif  // QWEN_INFER_BENCH_END_TO_END_RUN_H_
