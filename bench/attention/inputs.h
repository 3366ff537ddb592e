// Recorded inputs in place of Gaussian ones (src/ggml/recording.h).
#ifndef QWEN_INFER_BENCH_ATTENTION_INPUTS_H_
#define QWEN_INFER_BENCH_ATTENTION_INPUTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attention/case.h"
#include "attention/options.h"
#include "recording.h"
#include "topk/status.h"

namespace qwen_infer::attention_bench {

// A recording that every method can compute: one sequence whose queries are the last of its tokens and see all tokens
// up to themselves, K and V of one shape and type, plain scores.
struct Inputs {
  std::string name;  // of the file, without its folder
  Recording recording;
  int64_t n_key = 0;  // tokens of context; the recording may have keys behind them that no query sees
};

// Refuses, naming the file, what is no such recording.
topk::Status ReadInputs(const std::string& path, std::shared_ptr<const Inputs>& out);

// A case for each of options.inputs and options.queries. The last query of a prefill pass is a decode pass: its keys
// are all there.
topk::Status RecordedCases(const Options& options, std::vector<Case>& cases);

}  // namespace qwen_infer::attention_bench

#endif  // QWEN_INFER_BENCH_ATTENTION_INPUTS_H_
