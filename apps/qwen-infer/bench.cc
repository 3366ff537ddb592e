// qwen-infer bench: tokens per second of prompts and generation; llama-bench, or a comparison of our own.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "engine/model_file.h"
#include "flags.h"
#include "run.h"
#include "subcommands.h"

int llama_bench(int argc, char** argv);

namespace qwen_infer {

namespace {

// The largest number of llama-bench's lists and ranges, "0,512-8192*2": steps come after a sign of their own.
int64_t LargestNumber(std::string_view list) {
  constexpr int64_t kMostThatCounts = int64_t{1} << 40;
  int64_t largest = 0;
  int64_t number = 0;
  bool is_step = false;
  for (const char c : list) {
    if (c >= '0' && c <= '9') {
      number = std::min(kMostThatCounts, 10 * number + (c - '0'));
      if (!is_step) largest = std::max(largest, number);
    } else {
      number = 0;
      is_step = c == '+' || c == '*';
    }
  }
  return largest;
}

// llama-bench says nothing of it, and llama.cpp only in its log.
void WarnOfDepth(Arguments arguments) {
  constexpr std::string_view kDepth[] = {"-d", "--n-depth"};
  constexpr std::string_view kModel[] = {"-m", "--model"};
  const std::vector<std::string> given(arguments.begin(), arguments.end());
  const int64_t depth = LargestNumber(LlamaFlagValue(given, kDepth));
  if (depth == 0) return;
  const std::optional<int64_t> trained = TrainedContext(LlamaFlagValue(given, kModel));
  if (!trained || depth <= *trained) return;
  std::cerr << "warning: -d " << depth << " is beyond the " << *trained
            << " tokens of context that the model was trained with: times are good, what it would say there is not\n";
}

}  // namespace

int RunBench(Arguments arguments) {
  constexpr std::string_view kCompare = "--compare";
  std::vector<std::string_view> rest(arguments.begin(), arguments.end());
  if (std::erase(rest, kCompare) > 0) return RunBenchCompare(rest);
  WarnOfDepth(rest);
  return RunTool({.name = "bench",
                  .summary = "measure tokens per second (with and without top-k attention in turns: bench --compare "
                             "--help)",
                  .example = "-m model.gguf -d 8192 -p 512 -n 32 --use_top_k_attention",
                  .entry = llama_bench,
                  .flash_attention = "1",
                  .timings = LlamaTimings::kNone},
                 arguments);
}

}  // namespace qwen_infer
